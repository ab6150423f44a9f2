package sms

import (
	"slices"
	"strings"
)

// placeholderMarks are the marks with which other systems write a merge field. Longer marks come
// first, so that the mark [[ is not read as the mark [. Single round brackets are not marks,
// because they are common in running text: "your (name)".
var placeholderMarks = []struct{ opening, closing string }{
	{"${", "}"}, {"{%", "%}"}, {"((", "))"}, {"[[", "]]"}, {"<<", ">>"}, {"«", "»"},
	{"{", "}"}, {"[", "]"}, {"<", ">"}, {"%", "%"}, {"#", "#"},
}

// Placeholders returns the parts of a body that look like merge fields of another system and name a
// column: {name}, [name], ((name)), %name%, <name>, ${name} and the like. ParseTemplate reads them
// as text, so every recipient would get them unchanged. The function isColumn reports whether a
// key, in the form that FieldKey returns, is a column of the list. Placeholders returns each part
// once, in the order of the body. It ignores the inside of merge fields.
func Placeholders(body string, isColumn func(key string) bool) []string {
	var found []string
	for at := 0; at < len(body); {
		if length := fieldLength(body[at:]); length > 0 {
			at += length
			continue
		}
		length := 1
		for _, mark := range placeholderMarks {
			part, ok := placeholder(body[at:], mark.opening, mark.closing, isColumn)
			if !ok {
				continue
			}
			if !slices.Contains(found, part) {
				found = append(found, part)
			}
			length = len(part)
			break
		}
		at += length
	}
	return found
}

// fieldLength returns the length of the merge field with which s begins. It returns 0 if s does not
// begin with a merge field.
func fieldLength(s string) int {
	if !strings.HasPrefix(s, fieldOpens) {
		return 0
	}
	end := strings.Index(s, fieldCloses)
	if end < 0 {
		return len(fieldOpens)
	}
	return end + len(fieldCloses)
}

// maxPlaceholder is the maximum length of the name in a placeholder, in bytes.
const maxPlaceholder = 4 * MaxFieldName

// placeholder returns the placeholder at the beginning of s, including the marks that enclose it. The parameters
// "opening" and "closing" are these marks.
func placeholder(s, opening, closing string, isColumn func(key string) bool) (part string, ok bool) {
	inside, found := strings.CutPrefix(s, opening)
	if !found {
		return "", false
	}
	end := strings.Index(inside[:min(len(inside), maxPlaceholder)], closing)
	if end <= 0 || strings.ContainsAny(inside[:end], "\r\n") || strings.Contains(inside[:end], fieldOpens) {
		return "", false
	}
	key := FieldKey(inside[:end])
	if key == "" || !isColumn(key) {
		return "", false
	}
	return s[:len(opening)+end+len(closing)], true
}
