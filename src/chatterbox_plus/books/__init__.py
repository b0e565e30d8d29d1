"""Books: files people have (EPUB, DOCX, Markdown, plain text) as chapters of text that is read aloud as it stands."""
