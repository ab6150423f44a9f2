package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/sms"
)

// noteList prints facts about the list that the user may have missed: which of several sheets was
// read, what the sheet hides, and a guessed encoding.
func (s *sendCommand) noteList(src *source) {
	for _, note := range listNotes(src.list, s.campaign.Body) {
		s.note("tuma: note: %s", note)
	}
}

// placeholders returns the parts of the text that look like a merge field and name a column of the list.
func placeholders(l *recipients.List, body string) []string {
	return sms.Placeholders(body, func(key string) bool {
		return slices.ContainsFunc(l.Columns(), func(name string) bool { return sms.FieldKey(name) == key })
	})
}

// listDoubts returns possible mistakes in the list and in the text: parts that look like merge fields,
// and a guessed encoding. Before the command enqueues a campaign, it shows them and asks the user.
func listDoubts(l *recipients.List, body string) (doubts []string) {
	if parts := placeholders(l, body); len(parts) > 0 {
		doubts = append(doubts, "the text contains "+strings.Join(parts, ", "))
	}
	if g := l.Guess(); g.Encoding != "" {
		doubts = append(doubts, "the encoding "+g.Encoding+" is a guess")
	}
	return doubts
}

// listNotes returns the notes on a list that has been read, and on parts of the text that look like
// merge fields.
func listNotes(l *recipients.List, body string) (notes []string) {
	for _, part := range placeholders(l, body) {
		notes = append(notes, fmt.Sprintf("the text contains %s, which is not a merge field: write {{%s}}", part, strings.Trim(part, "{}[]()<>%#$« »")))
	}
	if sheet, all := l.Sheets(); len(all) > 1 {
		notes = append(notes, fmt.Sprintf("the sheet %q was read; the sheets of the workbook are %.200q (choose another with --sheet)", sheet, all))
	}
	if n := l.Hidden(); n > 0 {
		notes = append(notes, fmt.Sprintf("the recipients include %s of the sheet", console.Plural(n, "hidden row")))
	}
	if names := l.HiddenColumns(); len(names) > 0 {
		notes = append(notes, fmt.Sprintf("the sheet hides a column that is read: %.200q", names))
	}
	if g := l.Guess(); g.Encoding != "" {
		notes = append(notes, fmt.Sprintf("the encoding %s is a guess: line %d reads %.60q (choose another with --encoding)", g.Encoding, g.Line, g.Value))
	}
	return notes
}

// otherTextNote returns the note on n recipients that are skipped as duplicates, although the text for
// such a recipient differs from the text that the number gets.
func otherTextNote(n int) string {
	what := "recipients are skipped as duplicates: each has the number of an earlier recipient, but another text"
	if n == 1 {
		what = "recipient is skipped as a duplicate: it has the number of an earlier recipient, but another text"
	}
	return fmt.Sprintf("%s %s; to send each different text, use --duplicates each", console.FormatInt(n), what)
}
