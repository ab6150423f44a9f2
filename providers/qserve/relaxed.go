package qserve

import "bytes"

// relaxed returns a reply in the notation of the vendor's page as JSON. On that page, the names of
// members have no quotes, and a comment that begins with // follows a value. All examples on the
// page use this notation, so the gateway may send it. The function "relaxed" quotes such names and
// removes such comments, except within a quoted text. It makes no other changes.
func relaxed(body []byte) []byte {
	out := make([]byte, 0, len(body)+64)
	for i := 0; i < len(body); {
		switch c := body[i]; {
		case c == '"':
			end := textEnd(body, i)
			out = append(out, body[i:end]...)
			i = end
		case c == '/' && bytes.HasPrefix(body[i:], []byte("//")):
			end := bytes.IndexByte(body[i:], '\n')
			if end < 0 {
				return out
			}
			i += end
		case isNameStart(c):
			end := i
			for end < len(body) && (isNameStart(body[end]) || body[end] >= '0' && body[end] <= '9') {
				end++
			}
			if next := bytes.TrimLeft(body[end:], " \t\r\n"); len(next) > 0 && next[0] == ':' {
				out = append(append(append(out, '"'), body[i:end]...), '"')
			} else {
				out = append(out, body[i:end]...) // null, true or false; any other word stays, and the reply is then not valid JSON
			}
			i = end
		default:
			out = append(out, c)
			i++
		}
	}
	return out
}

// textEnd returns the position after the quoted text that begins at the position "start".
func textEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

func isNameStart(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
