package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func TestStatus_CountsByAccountIfSeveral(t *testing.T) {
	t.Parallel()
	counts := []producer.AccountCounts{{Account: "at", Counts: producer.Counts{Total: 150, Pending: 150}}, {Account: "qs", Counts: producer.Counts{Total: 3850, Accepted: 3849, Rejected: 1}}}
	for name, tt := range map[string]struct {
		counts []producer.AccountCounts
		lines  []string
	}{
		"one":     {counts: counts[:1]},
		"several": {counts: counts, lines: []string{"at 150 150 0 0 0 0 0 0", "qs 3,850 0 3,849 0 0 1 0 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if err := printStatus(&out, console.Screen{}, producer.Status{ID: "c", State: producer.Sending, ByAccount: tt.counts}, time.Now()); err != nil {
				t.Fatal(err)
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			for _, line := range tt.lines {
				if !strings.Contains(text, line) {
					t.Errorf("status does not contain %q:\n%s", line, &out)
				}
			}
			if len(tt.lines) == 0 && strings.Contains(text, "at 150") {
				t.Errorf("got a table for a single account:\n%s", &out)
			}
		})
	}
}

func TestDescribeBlock_NamesIncompatibleAccounts(t *testing.T) {
	t.Parallel()
	got := describeBlock(producer.Block{Account: "at", Reason: "connection", Incompatible: []string{"qs: body: the body has 700 characters; account qs allows 459"}}, console.Screen{}, time.Now())
	if want := "; the work of this account cannot move to qs: body: the body has 700 characters; account qs allows 459"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end with %q", got, want)
	}
}
