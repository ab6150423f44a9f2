package sms

import "strings"

// HasMergeFields reports whether the body contains a merge field: a name
// between double braces, {{name}}, with or without spaces around it. Anything
// on one line that is not blank and has no brace in it counts as a name, so
// that a field misspelt is still seen to be one.
func HasMergeFields(body string) bool {
	for {
		i := strings.Index(body, "{{")
		if i < 0 {
			return false
		}
		// Only one brace is passed over: "{{{name}}}" opens again at its second.
		body = body[i+1:]
		inside := body[1:]
		end := strings.IndexAny(inside, "{}\r\n")
		if end >= 0 && strings.HasPrefix(inside[end:], "}}") && strings.TrimSpace(inside[:end]) != "" {
			return true
		}
	}
}
