// What the page says, in both languages; {places} are filled in.

const WORDS = {
  en: {
    skip: "Skip to the content", views: "Views", ask: "Ask", documents: "Documents",
    base: "Knowledge base", theme: "Dark", other: "中文", "other-label": "中文",
    welcome: "Ask your documents",
    promise: "Every statement is tied to the passage it rests on. What the documents do not say is not answered.",
    question: "Your question", send: "Ask", stop: "Stop", anew: "New conversation", filter: "Only in",
    looking: "Looking it up …", writing: "Writing …", stopped: "Stopped.", answered: "Answered.",
    weak: "Weak evidence: the documents may not answer this. Check the sources.",
    refused: "Not in the documents", nearest: "The nearest passages",
    sources: "Sources", page: "page {n}", unsupported: "not borne out by the documents",
    unverified: "the quote was not found in the source", show_source: "Source {n}: {title}",
    helpful: "Helpful", unhelpful: "Not helpful", thanks: "Thank you, it was noted.",
    explain: "Why these passages", leg: "{leg}: rank {rank}, score {score}", score: "score",
    query: "Looked up", weights: "Weights", timings: "Time", evidence: "Chance that the base answers", model: "Model",
    drop: "Drop files here", pick: "Choose files", name: "Name", state: "State", any: "any",
    "state-ok": "read", "state-failed": "failed", "state-skipped": "left out",
    "state-container": "archive", show: "Show", more: "More", count: "{n} documents",
    nothing: "No documents yet.", "none-such": "No such documents.", passages: "{n} passages", poor: "poorly read",
    again: "Read again", delete: "Delete", "again-one": "Read “{name}” again", "delete-one": "Delete “{name}”", keep: "Keep",
    sure: "Delete “{name}” from the knowledge base?", deleted: "{name} was deleted.",
    sending: "{name}: sending …", reading: "{name}: reading …", "reading-of": "{name}: reading … {done}/{total}",
    many: "{read} of {total} files were read, {faults} could not be.",
    read: "{name}: read, {chunks} passages", unchanged: "{name}: unchanged",
    failed: "{name}: {why}", waiting: "{name}: waiting …",
    "file-changed": "The file has changed since it was read; this is as it was.",
    "file-gone": "The file is not there any more (moved or deleted); this is what was read in it.",
    whole: "Show the whole document", close: "Close", "page-image": "Page {n} as it looks",
    door: "This server asks for a key. It is kept until this tab is closed.", key: "Key",
    "wrong-key": "This key is wrong or was revoked.", "no-key": "A key has plain letters, digits and signs only, and no spaces.",
    enter: "Enter", "new-base": "New knowledge base", create: "Create", cancel: "Cancel", unreachable: "The server does not answer. Is it running?",
    earlier: "Earlier conversations", forget: "Forget “{title}”",
    bases: "This server has no knowledge base yet: kbqa ingest FOLDER", "no-base": "There is no knowledge base yet: create one with +",
    cut: "The answer was cut off.", told: "{question} — {answer}",
  },
  zh: {
    skip: "跳到内容", views: "视图", ask: "提问", documents: "文档",
    base: "知识库", theme: "深色", other: "English", "other-label": "English",
    welcome: "向您的文档提问",
    promise: "每句话都注明所依据的原文；文档里没有的，不作回答。",
    question: "您的问题", send: "提问", stop: "停止", anew: "新对话", filter: "限于",
    looking: "正在查找……", writing: "正在作答……", stopped: "已停止。", answered: "已回答。",
    weak: "依据不足：文档可能没有回答这个问题，请核对来源。",
    refused: "文档中没有答案", nearest: "最接近的段落",
    sources: "来源", page: "第 {n} 页", unsupported: "文档未能证实",
    unverified: "未在来源中找到这段引文", show_source: "来源 {n}：{title}",
    helpful: "有帮助", unhelpful: "没有帮助", thanks: "谢谢，已记录。",
    explain: "为什么是这些段落", leg: "{leg}：第 {rank} 名，得分 {score}", score: "得分",
    query: "查找内容", weights: "权重", timings: "用时", evidence: "知识库能回答的概率", model: "模型",
    drop: "把文件拖到这里", pick: "选择文件", name: "名称", state: "状态", any: "全部",
    "state-ok": "已读取", "state-failed": "失败", "state-skipped": "未读取",
    "state-container": "压缩包", show: "显示", more: "更多", count: "{n} 个文档",
    nothing: "还没有文档。", "none-such": "没有这样的文档。", passages: "{n} 个段落", poor: "读取质量差",
    again: "重新读取", delete: "删除", "again-one": "重新读取“{name}”", "delete-one": "删除“{name}”", keep: "保留",
    sure: "要从知识库中删除“{name}”吗？", deleted: "已删除 {name}。",
    sending: "{name}：正在上传……", reading: "{name}：正在读取……", "reading-of": "{name}：正在读取…… {done}/{total}",
    many: "{total} 个文件中已读取 {read} 个，{faults} 个未能读取。",
    read: "{name}：已读取，{chunks} 个段落", unchanged: "{name}：没有变化",
    failed: "{name}：{why}", waiting: "{name}：等待中……",
    "file-changed": "文件在读取之后已被修改；这里显示的是当时的内容。",
    "file-gone": "文件已被移动或删除；这里显示的是当时读取的内容。",
    whole: "显示整个文档", close: "关闭", "page-image": "第 {n} 页原貌",
    door: "此服务器需要密钥。密钥只保留到关闭此标签页为止。", key: "密钥",
    "wrong-key": "密钥不正确或已被撤销。", "no-key": "密钥只含英文字母、数字和符号，没有空格。",
    enter: "进入", "new-base": "新建知识库", create: "新建", cancel: "取消", unreachable: "服务器没有响应。它在运行吗？",
    earlier: "之前的对话", forget: "删除对话“{title}”",
    bases: "此服务器还没有知识库：kbqa ingest 文件夹", "no-base": "还没有知识库：请按 + 新建",
    cut: "回答中断了。", told: "{question}——{answer}",
  },
};

let language = localStorage.getItem("kbqa.language")
  ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");

export function word(name, places = {}) {
  const text = WORDS[language][name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, place) => places[place] ?? whole);
}

export function otherLanguage() {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("kbqa.language", language);
}

// Fills in all that the page's own markup names.
export function speak() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = word(node.dataset.placeholder);
}
