"""The layers around the model, one file each. The order is the setting `plugins`."""
