package providertest

import "strings"

// hasID reports whether a reply contains a message ID. A provider may change the form of the gateway's ID. So hasID
// ignores upper and lower case, and ignores zeros directly after the last underscore.
func hasID(reply []byte, id string) bool {
	text, id := strings.ToLower(string(reply)), strings.ToLower(id)
	if strings.Contains(text, id) {
		return true
	}
	i := strings.LastIndexByte(id, '_')
	digits := strings.TrimLeft(id[i+1:], "0")
	return i > 0 && digits != "" && strings.Contains(text, digits)
}
