package httpclient

// StateWord reports whether a text can be a delivery state that the gateway does not document. The result "ok"
// is true if the text is a single word of 2 to 32 letters, digits, "_" and "-", and begins with a letter. The
// result "state" is the unchanged text. The caller must have excluded the gateway's error codes.
func StateWord(text string) (state string, ok bool) {
	const shortest, longest = 2, 32
	if len(text) < shortest || len(text) > longest {
		return "", false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case i > 0 && ('0' <= c && c <= '9' || c == '_' || c == '-'):
		default:
			return "", false
		}
	}
	return text, true
}
