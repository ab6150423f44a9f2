package textconnect

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers/httpclient"
)

// These are the results that the gateway reports for an imported line. The list on the vendor's page is
// incomplete: some results occur only in the page's example, and "Partial" occurs only in its text.
const (
	// ImportSuccess: the contact was added.
	ImportSuccess = "Success"
	// ImportPartial: a part of the line failed. In most cases the gateway has added the contact, but
	// could not put it into a group.
	ImportPartial = "Partial"
	// ImportFailed: the contact was not added; Detail has the reason.
	ImportFailed = "Failed"
	// ImportDuplicateName and ImportDuplicateNumber: a contact with this name or number exists already.
	ImportDuplicateName, ImportDuplicateNumber = "Duplicate Name", "Duplicate Number"
)

var importResults = []string{ImportSuccess, ImportPartial, ImportFailed, ImportDuplicateName, ImportDuplicateNumber}

// ImportOptions controls the import of contacts that exist already.
type ImportOptions struct {
	// IgnoreDupes creates a contact even if one with the same name or number exists.
	IgnoreDupes bool
	// OverwriteDupes overwrites an existing contact that has the same number. A contact with the same
	// name and another number is kept, and the new contact is also added. If OverwriteDupes is set,
	// IgnoreDupes has no effect.
	OverwriteDupes bool
}

// ImportedLine is the result of one line of contacts.
type ImportedLine struct {
	// Line is the number of the line, counted from 1.
	Line int
	// Result is one of the Import constants.
	Result string
	// Detail is the gateway's explanation for a line that failed completely or partly. It may contain
	// data of the line.
	Detail string
}

// ImportContactsCSV adds contacts to the address book and returns the result of each line, in
// order. The fields of a line are name,number,email,group,group,…. A nil error only means that the
// gateway has answered for every line. ImportContactsCSV refuses blank lines, because it is not
// known whether the gateway counts such lines. After an error whose Outcome is Unknown, some
// contacts may have been added.
func (p *Provider) ImportContactsCSV(ctx context.Context, contacts string, o ImportOptions) ([]ImportedLine, error) {
	const op = "textconnect ImportContactsCSV"
	contacts = strings.TrimRight(strings.ReplaceAll(contacts, "\r\n", "\n"), "\n")
	lines := strings.Split(contacts, "\n")
	if slices.ContainsFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" }) {
		return nil, refusal(op, "the contacts must have at least one line and no blank lines")
	}
	form := httpclient.AppendField(p.form("ImportContactsCSV"), "ContactsCSV", contacts)
	if o.IgnoreDupes {
		form = httpclient.AppendField(form, "IgnoreDupes", "1")
	}
	if o.OverwriteDupes {
		form = httpclient.AppendField(form, "OverwriteDupes", "1")
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

// parseImport parses one result for every line ("1 : Success") and, after a blank line, the details
// of some lines ("4 : No name"). The parameter "lines" is the number of imported lines.
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
			continue // an unreadable detail is left out, because every line already has its result
		}
		if d := &imported[n-1].Detail; *d == "" {
			*d = detail
		} else {
			*d += "; " + detail
		}
	}
	return imported, true
}

// cutImport splits a text such as "4 : No name". The result "ok" is false unless the number is from 1
// to the parameter "lines".
func cutImport(line string, lines int) (n int, text string, ok bool) {
	number, text, ok := strings.Cut(line, ":")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	return n, strings.TrimSpace(text), ok && err == nil && n >= 1 && n <= lines
}
