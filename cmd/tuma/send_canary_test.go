package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestCanary_PausedCampaignSaysWhatToDo(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	h.runWithInput("0711111111\n", "send", "--via", "kobo-main", "--body", "Hello", "--wait") // after an accepted message, workers do not hold the account for a rejection
	numbers := "0712345678\n0712345679\n0712345680\n0712345681\n"
	if err := h.gateway.Gateway("kobo").SetReply(simulator.Reject, 254712345678); err != nil {
		t.Fatal(err)
	}
	send := []string{"send", "--id", "sale", "--via", "kobo-main", "--body", "Half price", "--file", h.file("sale.txt", numbers), "--wait"}
	out, errOut, exit := h.run(append(send, "--canary", "2", "--max-rejected", "12.5%")...)
	const why = "1 of 2 canary messages were rejected or are unknown, 50 %; at most 12.5 % are allowed"
	if exit != exitNotAll || !strings.Contains(out, "sale: paused") || !strings.Contains(out, why) || !strings.Contains(out, "'tuma resume' continues the campaign, 'tuma cancel' ends it") {
		t.Fatalf("got exit %d and output\n%s%s\nwant exit 3, the state paused and what to do", exit, errOut, out)
	}
	st := h.status("sale")
	if want := (&producer.TooManyRejected{Bad: 1, Ended: 2, Canary: true}); !cmp.Equal(st.TooManyRejected, want) || st.BlockedBy[0].By != "too_many_rejected" || h.gateway.Stats().Accepted != 2 {
		t.Errorf("got status %+v and gateway counts %+v; want 1 of 2 canary messages rejected and 2 accepted at the gateway", st, h.gateway.Stats())
	}
	// --canary and --max-rejected are not part of the content. So the command without them names
	// the same campaign, and no message is sent twice.
	if _, errOut, exit := h.run(send...); exit != exitNotAll || !strings.Contains(errOut, "already exists with the same content") {
		t.Errorf("got exit %d and standard error %s, want exit 3 and a note that the campaign already exists", exit, errOut)
	}
	h.mustRun("resume", "sale")
	eventually(t, "it to be done", func() bool { return h.status("sale").State == producer.Done })
	if st := h.status("sale"); st.Accepted != 3 || st.Rejected != 1 || st.TooManyRejected != nil {
		t.Errorf("got status %+v, want 3 accepted and 1 rejected", st)
	}
}

func TestCanary_ShownInStatusAndProgress(t *testing.T) {
	t.Parallel()
	st := producer.Status{ID: "c", State: producer.Sending, Counts: producer.Counts{Total: 1000, Pending: 963, Accepted: 34, Rejected: 2, Unknown: 1},
		Canary: &producer.Canary{Size: 50, Ended: 37, Rejected: 2, Unknown: 1}}
	now := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	var out strings.Builder
	if err := printStatus(&out, console.Screen{}, st, now); err != nil || !strings.Contains(out.String(), "canary         50  37 of 50 ended, 2 rejected, 1 unknown; the other recipients wait\n") {
		t.Errorf("status: got error %v and output\n%s\nwant the progress of the canary", err, out.String())
	}
	out.Reset()
	newProgress(&out, console.Screen{}, func() time.Time { return now }).show(st)
	if want := "c: sending, 37 of 1,000 (3 %), canary: 37 of 50 ended, 2 rejected, 1 unknown\n"; out.String() != want {
		t.Errorf("progress: got %q, want %q", out.String(), want)
	}
}
