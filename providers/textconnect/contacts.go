package textconnect

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// The results of a line of contacts. Some are missing on the page, whose example
// shows them (Partial is in its text).
const (
	// ImportSuccess: the contact was added.
	ImportSuccess = "Success"
	// ImportPartial: usually, it was added but could not be put into a group.
	ImportPartial = "Partial"
	// ImportFailed: it was not added; the detail says why.
	ImportFailed = "Failed"
	// ImportDuplicateName and ImportDuplicateNumber: there is one already.
	ImportDuplicateName, ImportDuplicateNumber = "Duplicate Name", "Duplicate Number"
)

var importResults = []string{ImportSuccess, ImportPartial, ImportFailed, ImportDuplicateName, ImportDuplicateNumber}

// ImportOptions say what becomes of contacts that there are already.
type ImportOptions struct {
	// IgnoreDupes lets contacts be created whose name or number there is already.
	IgnoreDupes bool
	// OverwriteDupes overwrites a contact that has the number; one that has only the
	// name stays, and another is created. IgnoreDupes then has no meaning.
	OverwriteDupes bool
}

// ImportedLine is what became of one line of contacts.
type ImportedLine struct {
	// Line counts from 1.
	Line int
	// Result is one of the words above.
	Result string
	// Detail is the gateway's text on a line that failed in whole or in part. It may
	// repeat what the line says.
	Detail string
}

// ImportContactsCSV adds contacts to the address book, one a line as
// name,number,email,group,group,…, and returns what became of each line, in order. A
// nil error says only that the gateway has answered for every line. A blank line is
// refused, since nobody knows how the gateway would count it; an Unknown error may
// have added some.
func (p *Provider) ImportContactsCSV(ctx context.Context, contacts string, o ImportOptions) ([]ImportedLine, error) {
	const op = "textconnect ImportContactsCSV"
	contacts = strings.TrimRight(strings.ReplaceAll(contacts, "\r\n", "\n"), "\n")
	lines := strings.Split(contacts, "\n")
	if slices.ContainsFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" }) {
		return nil, refusal(op, "no contacts, or a blank line among them")
	}
	form := providers.AppendField(p.form("ImportContactsCSV"), "ContactsCSV", contacts)
	if o.IgnoreDupes {
		form = providers.AppendField(form, "IgnoreDupes", "1")
	}
	if o.OverwriteDupes {
		form = providers.AppendField(form, "OverwriteDupes", "1")
	}
	reply, err := p.post(ctx, op, form)
	if err != nil {
		return nil, err
	}
	imported, ok := parseImport(reply.Body, len(lines))
	if !ok {
		return nil, refused(op, reply)
	}
	return imported, nil
}

// parseImport reads "1 : Success" for every line, and "4 : No name" for some of them
// below a blank line. It has no effects.
func parseImport(body []byte, lines int) ([]ImportedLine, bool) {
	results, details, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(string(body), "\r\n", "\n")), "\n\n")
	if strings.Count(results, "\n")+1 != lines {
		return nil, false
	}
	imported := make([]ImportedLine, lines)
	for line := range strings.SplitSeq(results, "\n") {
		n, result, ok := cutImport(line, lines)
		if !ok || imported[n-1].Line != 0 || !slices.Contains(importResults, result) {
			return nil, false
		}
		imported[n-1] = ImportedLine{Line: n, Result: result}
	}
	for line := range strings.SplitSeq(details, "\n") {
		n, detail, ok := cutImport(line, lines)
		if !ok {
			continue // only words, and every line has its result
		}
		if d := &imported[n-1].Detail; *d == "" {
			*d = detail
		} else {
			*d += "; " + detail
		}
	}
	return imported, true
}

// cutImport cuts "4 : No name".
func cutImport(line string, lines int) (n int, text string, ok bool) {
	number, text, ok := strings.Cut(line, ":")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	return n, strings.TrimSpace(text), ok && err == nil && n >= 1 && n <= lines
}
