package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func TestPurgeBody_OnlyAfterAKnownOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome campaign.Record
		purged  bool
	}{
		"accepted": {accepted("id"), true},
		"rejected": {campaign.Record{Status: campaign.Rejected, Reason: "x"}, true},
		"unknown":  {campaign.Record{Status: campaign.Unknown}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{1})
			purge := func(want bool) {
				t.Helper()
				if got, err := PurgeBody(t.Context(), r.Ledger, "c"); err != nil || got != want {
					t.Errorf("PurgeBody returned %t, %v; want %t", got, err, want)
				}
			}
			before, err := r.Spec(t.Context(), "c")
			r.ok(err)
			purge(false) // the campaign has not ended
			r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleAnswer, tc.outcome)
			purge(tc.purged)
			purge(false) // the text is deleted already, or the outcome is unknown
			after, err := r.Spec(t.Context(), "c")
			r.ok(err)
			if gone := after.Body == ""; gone != tc.purged || after.Segments() != before.Segments() {
				t.Errorf("the text is gone: %t, want %t; %d segments, want %d", gone, tc.purged, after.Segments(), before.Segments())
			}
			if raw := r.rdb.Get(t.Context(), specKey("c")).Val(); strings.Contains(raw, before.Body) == tc.purged {
				t.Errorf("Redis holds %s", raw)
			}
			_, err = r.Retry(t.Context(), "c", "token", true, true)
			switch {
			case name == "accepted" && !errors.Is(err, ErrNothingToRetry):
				t.Errorf("a retry of an accepted message: %v", err)
			case name == "rejected" && !errors.Is(err, ErrPurged):
				t.Errorf("a retry of a message without its text: %v, want ErrPurged", err)
			case name == "unknown" && err != nil:
				t.Errorf("a retry of a message with its text: %v", err)
			}
			if s := r.summary("c"); s.Total != 1 || s.Accepted+s.Rejected+s.Unknown+s.Pending != 1 {
				t.Errorf("the counts are %+v", s.Counts)
			}
		})
	}
}

func TestPurgeBody_NoSuchCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	if purged, err := PurgeBody(t.Context(), r.Ledger, "none"); purged || err != nil {
		t.Errorf("got %t, %v", purged, err)
	}
}
