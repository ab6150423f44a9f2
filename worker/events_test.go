package worker_test

import (
	"fmt"

	"github.com/tuma-sms/tuma/producer"
)

// eventTexts returns a text for each event of one kind in the event stream. The text has the
// account and the reason, or the campaign with its state and the sum of its counts.
func (r *testTuma) eventTexts(kind producer.EventKind) (texts []string) {
	r.t.Helper()
	for e, err := range r.producer.PastEvents(r.t.Context(), "") {
		if err != nil {
			r.t.Fatal(err)
		}
		if e.Kind != kind {
			continue
		}
		text := e.Account + " " + e.Reason
		if n := e.Counts; n != nil {
			text = fmt.Sprintf("%s %s %d", e.Campaign, e.State, n.Pending+n.Accepted+n.Delivered+n.Undelivered+n.Rejected+n.Unknown+n.Skipped)
		}
		texts = append(texts, text)
	}
	return texts
}
