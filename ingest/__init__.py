"""Files into documents and chunks, and a folder into changes. Imports nothing of ours."""
