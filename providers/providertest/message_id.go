package providertest

import "strings"

// hasID reports whether a reply has a message ID. A client may return an ID in a normal form. In this
// form, the case of letters, and zeros after the last underscore, may differ from the reply.
func hasID(reply []byte, id string) bool {
	text, id := strings.ToLower(string(reply)), strings.ToLower(id)
	if strings.Contains(text, id) {
		return true
	}
	i := strings.LastIndexByte(id, '_')
	digits := strings.TrimLeft(id[i+1:], "0")
	return i > 0 && digits != "" && strings.Contains(text, digits)
}
