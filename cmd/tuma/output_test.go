package main

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func TestResults_AsCSV(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 3, 9, 0, 0, 5e8, time.FixedZone("EAT", 3*3600))
	results := func(yield func(producer.Result, error) bool) {
		_ = yield(producer.Result{Row: 1, MSISDN: "254712345678", Status: "delivered", DeliveredAt: at.Add(time.Minute), Account: "k", MessageID: "m,1", MessageUUID: "u", Segments: 2,
			Cost: "0.80", Currency: "KES", UpdatedAt: at, Input: "+254712345678"}, nil) &&
			yield(producer.Result{Row: 2, Status: "skipped", Reason: "invalid_number", Code: "not_a_number", Input: "=1+1"}, nil)
	}
	var out bytes.Buffer
	write := func(results iter.Seq2[producer.Result, error], headed bool) error {
		out.Reset()
		w := &rowBuffer{to: &out}
		return errors.Join(writeResultsCSV(w, &uploaded{}, results, headed), w.flush())
	}
	if err := write(results, true); err != nil {
		t.Fatal(err)
	}
	want := `row,msisdn,status,reason,account,message_id,message_uuid,code,segments,cost,currency,updated_at,input,ref,delivered_at
1,254712345678,delivered,,k,"m,1",u,,2,0.80,KES,2025-11-03T06:00:00Z,+254712345678,,2025-11-03T06:01:00Z
2,,skipped,invalid_number,,,,not_a_number,0,,,,'=1+1,,
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}

	_, rest, _ := strings.Cut(want, "\n")
	if err := write(results, false); err != nil || out.String() != rest {
		t.Errorf("without the header: got error %v and output %q, want only the rows", err, out.String())
	}
	nothing := func(yield func(producer.Result, error) bool) { yield(producer.Result{}, producer.ErrNotFound) }
	if err := write(nothing, true); !errors.Is(err, producer.ErrNotFound) || out.Len() > 0 {
		t.Errorf("for an unknown campaign: got error %v and output %q, want ErrNotFound and no output", err, out.String())
	}
	if err := write(func(func(producer.Result, error) bool) {}, true); err != nil || strings.Count(out.String(), "\n") != 1 {
		t.Errorf("without results: got error %v and output %q, want only the header", err, out.String())
	}
}

func TestProgress_PlainLinesWithoutATerminal(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	p := newProgress(&out, console.Screen{}, func() time.Time { return now })
	// Of the 1,100 recipients, 100 are skipped.
	st := producer.Status{ID: "c", State: producer.Sending, Counts: producer.Counts{Total: 1100, Pending: 1000, Skipped: 100}}
	show := func(after time.Duration, change func()) {
		now = now.Add(after)
		change()
		p.show(st)
	}
	show(0, func() {})
	for range 21 { // p must print one line every five seconds, not a line for every status
		show(250*time.Millisecond, func() {
			st.Pending -= 25
			end := now.Add(time.Duration(st.Pending) * 10 * time.Millisecond)
			st.ETA = &end
		})
	}
	held := now
	show(250*time.Millisecond, func() {
		st.BlockedBy = []producer.Block{{Account: "k", Reason: "credit", Code: "error_credit", Since: &held}}
	})
	show(250*time.Millisecond, func() {})
	show(250*time.Millisecond, func() {
		end := now.Add(4 * time.Second)
		st.BlockedBy, st.Pending, st.Rejected, st.Unknown, st.ETA = nil, 400, 12, 1, &end
	})
	show(250*time.Millisecond, func() { st.State, st.Pending, st.ETA = producer.Done, 0, nil })
	want := `c: sending, 0 of 1,000 (0 %), 100 skipped
c: sending, 500 of 1,000 (50 %), 100/s, 5s left, 100 skipped
c: sending, 525 of 1,000 (52 %), 95/s, 100 skipped, waiting: account k is on hold: credit (error_credit) for 0s, until tuma release k
c: sending, 600 of 1,000 (60 %), 100/s, 4s left, 12 rejected, 1 unknown, 100 skipped
c: done, 1,000 of 1,000 (100 %), 12 rejected, 1 unknown, 100 skipped
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestDescribeBlock(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	ago, soon, past := now.Add(-90*time.Second), now.Add(30*time.Second), now.Add(-time.Second)
	tests := []struct {
		block producer.Block
		want  string
	}{
		{producer.Block{Reason: "paused", By: "producer", Since: &ago}, "paused for 1m30s; 'tuma resume' continues the campaign"},
		{producer.Block{Reason: "paused", By: "error_param"}, "paused by error_param; 'tuma resume' continues the campaign"},
		{producer.Block{Account: "k", Reason: "no_worker"}, "no worker serves account k"},
		{producer.Block{Account: "k", Reason: "no_worker", Since: &ago}, "no worker serves account k; the last worker was seen 1m30s ago"},
		{producer.Block{Account: "k", Reason: "credentials", Code: "error_user", Since: &ago, Until: &soon},
			"account k is on hold: credentials (error_user) for 1m30s, next try in 30s"},
		{producer.Block{Account: "k", Reason: "window", Country: "KE", Since: &ago, Until: &soon},
			"outside the sending hours of KE; they start in 30s, at 2025-11-03T09:00:30Z"},
		{producer.Block{Account: "k", Reason: "connection", Until: &past}, "account k is on hold: connection, next try now"},
	}
	for _, tt := range tests {
		if got := describeBlock(tt.block, console.Screen{}, now); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestAllAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		st   producer.Status
		want bool
	}{
		"all":                {producer.Status{State: producer.Done, Counts: producer.Counts{Total: 3, Accepted: 1, Delivered: 1, Undelivered: 1}}, true},
		"and duplicates":     {producer.Status{State: producer.Done, Counts: producer.Counts{Total: 3, Accepted: 2, Skipped: 1}, Reasons: map[string]int{"duplicate": 1}}, true},
		"an invalid number":  {producer.Status{State: producer.Done, Counts: producer.Counts{Total: 3, Accepted: 2, Skipped: 1}, Reasons: map[string]int{"invalid_number": 1}}, false},
		"one rejected":       {producer.Status{State: producer.Done, Counts: producer.Counts{Total: 3, Accepted: 2, Rejected: 1}}, false},
		"one unknown":        {producer.Status{State: producer.Done, Counts: producer.Counts{Total: 3, Accepted: 2, Unknown: 1}}, false},
		"paused":             {producer.Status{State: producer.Paused, Counts: producer.Counts{Total: 3, Accepted: 3}}, false},
		"cancelled too late": {producer.Status{State: producer.Cancelled, Counts: producer.Counts{Total: 3, Accepted: 3}}, true},
		"cancelled":          {producer.Status{State: producer.Cancelled, Counts: producer.Counts{Total: 3, Accepted: 2, Skipped: 1}}, false},
	}
	for name, tt := range tests {
		if got := allAccepted(tt.st); got != tt.want {
			t.Errorf("%s: allAccepted = %v, want %v", name, got, tt.want)
		}
	}
}
