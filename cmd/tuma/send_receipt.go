package main

import (
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// noteEnqueued prints the result of an enqueue, and facts about the campaign that the user may have
// missed. The parameter otherTexts is the number of recipients that are skipped as duplicates,
// although the text for such a recipient differs from the text that the number gets. The parameter
// "resending" lists the accounts that may send a message twice.
func (s *sendCommand) noteEnqueued(r producer.Receipt, src *source, otherTexts int, resending []string) {
	s.noteReceipt(r)
	if !r.Again {
		if !s.noted {
			s.noteList(src)
		}
		if otherTexts > 0 {
			s.note("tuma: warning: %s", otherTextNote(otherTexts))
		}
		for _, line := range slices.Concat(textNotes(s.campaign), s.times.notes()) {
			s.note("tuma: note: %s", line)
		}
	}
	noteNoWorker(s.app, r.NoWorker)
	for _, gap := range r.Credit {
		if gap.Problem == producer.CreditShort {
			s.note("tuma: warning: %s", gap.Warning)
		} else {
			s.note("tuma: note: %s", gap.Warning)
		}
	}
	if len(resending) > 0 && !r.Again {
		s.note("tuma: warning: on_unknown=resend: a recipient with an unknown outcome at %s gets the message again, and may receive it twice",
			strings.Join(resending, ", "))
	}
}

// noteReceipt prints the result of an enqueue on standard error.
func (s *sendCommand) noteReceipt(r producer.Receipt) {
	switch {
	case r.Again && s.idDerived:
		s.note("tuma: the campaign was already sent as %s (%s, %s); --again sends it again", r.ID, console.Plural(r.Total, "recipient"), s.noteTime(r.CreatedAt))
	case r.Again:
		s.note("tuma: %s already exists with the same content (%s, %s); nothing changed", r.ID, console.Plural(r.Total, "recipient"), s.noteTime(r.CreatedAt))
	case s.wait:
		s.note("tuma: enqueued %s as %s", console.Plural(r.Total, "recipient"), r.ID)
	case s.times.start.After(s.now()):
		s.note("tuma: enqueued %s; sending starts at %s, if a worker runs then; to follow it: tuma status %s --watch",
			console.Plural(r.Total, "recipient"), s.noteTime(s.times.start), r.ID)
	default:
		s.note("tuma: enqueued %s; to follow it: tuma status %s --watch", console.Plural(r.Total, "recipient"), r.ID)
	}
}
