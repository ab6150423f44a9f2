package main

import (
	"cmp"
	"os"
	"os/user"
	"slices"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// createdBy returns the user that runs the command, as user@host. An unknown user or host is
// left empty.
func createdBy() string {
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, _ := os.Hostname() // on an error, host is empty
	return cutBytes(console.WithoutControls(cmp.Or(name, os.Getenv("USER"))+"@"+host, producer.MaxCreatedBy), producer.MaxCreatedBy)
}

// storedNotes returns the notes on a campaign in the form that the campaign stores.
func storedNotes(all ...[]string) []string {
	notes := slices.Concat(all...)
	notes = notes[:min(len(notes), producer.MaxNotes)]
	for i, note := range notes {
		notes[i] = cutBytes(console.WithoutControls(note, producer.MaxNote), producer.MaxNote)
	}
	return notes
}

// cutBytes cuts a text to at most limit bytes. It never cuts within a character.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := 0
	for i := range s {
		if i > limit-len("…") {
			break
		}
		cut = i
	}
	return s[:cut] + "…"
}
