package ledger

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func (r *testLedger) upload(id string, spec campaign.Spec, inputs ...string) *Upload {
	r.Helper()
	u, err := r.BeginUpload(id, spec)
	r.ok(err)
	for _, x := range inputs {
		r.ok(u.Add(r.Context(), x))
	}
	return u
}

func TestCommit_SecondCommitChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	spec := campaign.Spec{Body: "Habari", ExpiresIn: time.Hour, ExpiresAt: time.Now().Add(time.Hour)}
	first, err := r.upload("c", spec, "1", "2").Commit(t.Context())
	if err != nil || first.Total != 2 || first.Again || first.CreatedAt.IsZero() {
		t.Fatalf("Commit returned %+v, %v; want a new campaign of 2", first, err)
	}
	before := r.state("c")
	later := spec
	later.ExpiresAt = later.ExpiresAt.Add(time.Second) // ExpiresAt is computed from ExpiresIn; ExpiresIn does not change, so the content does not change
	same := first
	same.Again = true
	cases := map[string]struct {
		u    *Upload
		want Receipt
		err  error
	}{
		"the same":           {r.upload("c", spec, "1", "2"), same, nil},
		"the same, later":    {r.upload("c", later, "1", "2"), same, nil},
		"another body":       {r.upload("c", campaign.Spec{Body: "Kwaheri", ExpiresIn: time.Hour}, "1", "2"), Receipt{}, ErrConflict},
		"another order":      {r.upload("c", spec, "2", "1"), Receipt{}, ErrConflict},
		"fewer":              {r.upload("c", spec, "1"), Receipt{}, ErrConflict},
		"glued together":     {r.upload("c", spec, "12", ""), Receipt{}, ErrConflict},
		"a sender besides":   {r.upload("c", campaign.Spec{Body: "Habari", From: "ACME", ExpiresIn: time.Hour}, "1", "2"), Receipt{}, ErrConflict},
		"an expiry by clock": {r.upload("c", campaign.Spec{Body: "Habari", ExpiresAt: spec.ExpiresAt}, "1", "2"), Receipt{}, ErrConflict},
	}
	for name, c := range cases {
		got, err := c.u.Commit(t.Context())
		if !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s returned %+v, %v; want %+v, %v", name, got, err, c.want, c.err)
		}
		if n, err := r.rdb.Exists(t.Context(), stagingKey("c", c.u.token)).Result(); err != nil || n > 0 {
			t.Errorf("%s left its staging area behind", name)
		}
	}
	if r.state("c") != before {
		t.Error("another commit changed the campaign")
	}
}

func TestCommit_RepeatedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	u := r.upload("c", campaign.Spec{Body: "Habari"}, "1", "2")
	first, err := u.Commit(t.Context())
	r.ok(err)
	before := r.state("c")
	again, err := u.Commit(t.Context())
	if err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("the repeated commit returned %+v, %v; want %+v", again, err, first)
	}
	if r.state("c") != before {
		t.Error("the ledger changed")
	}
}

func TestCommit_MissingPagesCreateNoCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	discarded := r.upload("discarded", campaign.Spec{Body: "x"}, "1")
	r.ok(discarded.flush(t.Context(), 1))
	r.ok(discarded.Discard(t.Context()))
	half := r.upload("half", campaign.Spec{Body: "x"}, "1")
	r.ok(half.flush(t.Context(), 1))
	r.ok(half.Add(t.Context(), "2"))
	r.ok(half.flush(t.Context(), 1))
	r.ok(half.waitForWrite())
	r.ok(r.rdb.HDel(t.Context(), stagingKey("half", half.token), "p1").Err())
	for _, u := range []*Upload{discarded, half, r.upload("empty", campaign.Spec{Body: "x"})} {
		if _, err := u.Commit(t.Context()); err == nil || errors.Is(err, ErrConflict) {
			t.Errorf("%s: Commit returned %v, want an error other than ErrConflict", u.id, err)
		}
		if n, err := r.rdb.Exists(t.Context(), ledgerKey(u.id)).Result(); err != nil || n > 0 {
			t.Errorf("%s: the failed commit created a campaign", u.id)
		}
	}
	// After a failed commit, the producer can upload the campaign again.
	if receipt, err := r.upload("half", campaign.Spec{Body: "x"}, "1", "2").Commit(t.Context()); err != nil || receipt.Total != 2 {
		t.Errorf("the second upload returned %+v, %v; want 2 recipients", receipt, err)
	}
}

func TestUpload_StagingAreaIsHiddenAndExpires(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	if _, err := r.Summary(t.Context(), "c"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Summary before the upload: got %v, want ErrNotFound", err)
	}
	u := r.upload("c", campaign.Spec{Body: "x"}, "1")
	r.ok(u.flush(t.Context(), 1))
	r.ok(u.waitForWrite())
	if s := r.summary("c"); s.State != campaign.Uploading || s.CreatedAt.IsZero() {
		t.Errorf("state is %s since %v, want uploading", s.State, s.CreatedAt)
	}
	for row, err := range r.ResultsAfter(t.Context(), "c", 0) {
		t.Errorf("an upload in progress has results: got %+v, %v; want none", row, err)
	}
	ttl, err := r.rdb.TTL(t.Context(), stagingKey("c", u.token)).Result()
	if err != nil || ttl < 23*time.Hour {
		t.Errorf("the TTL of the staging area is %v, %v; want about a day", ttl, err)
	}
	_, err = u.Commit(t.Context())
	r.ok(err)
	if ttl, err := r.rdb.TTL(t.Context(), ledgerKey("c")).Result(); err != nil || ttl != -1 {
		t.Errorf("the TTL of the ledger is %v, %v; want none", ttl, err)
	}
}

func TestUpload_LongInputsAreCut(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	long := strings.Repeat("9", campaign.MaxInput) + "tail"
	_, err := r.upload("c", campaign.Spec{Body: "x"}, long, "", "\x00\xff").Commit(t.Context())
	r.ok(err)
	rows := r.rows("c")
	if rows[0].Input != long[:campaign.MaxInput] || rows[1].Input != "" || rows[2].Input != "\x00\xff" {
		t.Errorf("inputs are %q, want the first one cut to MaxInput and the others unchanged", []string{rows[0].Input, rows[1].Input, rows[2].Input})
	}
	u := r.upload("c", campaign.Spec{Body: "x"}, long[:campaign.MaxInput], "", "\x00\xff")
	if got, err := u.Commit(t.Context()); err != nil || !got.Again {
		t.Errorf("uploading the cut inputs returned %+v, %v; want the same campaign", got, err)
	}
}

func TestBeginUpload_InvalidIDsAreRefused(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for _, id := range []string{"", "a b", "{a}", "ä", strings.Repeat("x", 129), "a\n"} {
		if _, err := r.BeginUpload(id, campaign.Spec{}); err == nil || ValidID(id) {
			t.Errorf("id %q was accepted, want an error", id)
		}
	}
	for _, id := range []string{"a", "A.b_c:d-9", strings.Repeat("x", 128)} {
		if _, err := r.BeginUpload(id, campaign.Spec{}); err != nil || !ValidID(id) {
			t.Errorf("id %q was rejected with %v, want it accepted", id, err)
		}
	}
}

// An upload may take hours, and the sweeper removes old entries of the open index. The sweeper must
// still find the committed campaign.
func TestCommit_LongUploadReturnsToTheIndexes(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, forget := range map[string]string{"open": openIndex, "all": campaignIndex} {
		u := r.upload(name, campaign.Spec{Body: "x"}, "1")
		r.ok(u.flush(t.Context(), 1))
		r.ok(r.rdb.ZRem(t.Context(), forget, name).Err())
		_, err := u.Commit(t.Context())
		r.ok(err)
		for _, index := range []string{openIndex, campaignIndex} {
			if err := r.rdb.ZScore(t.Context(), index, name).Err(); err != nil {
				t.Errorf("%s is not in %s: %v", name, index, err)
			}
		}
	}
}

func TestWatch_ScheduledCampaignIsDueAtItsStart(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	start := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	r.enqueue("c", campaign.Spec{StartAt: start}, 1)
	if s := r.summary("c"); s.State != campaign.Scheduled || !s.StartAt.Equal(start) {
		t.Errorf("state is %s, start %v; want scheduled with the given start", s.State, s.StartAt)
	}
	if due, err := r.DueBatches(t.Context(), "c", start.Add(-time.Second)); err != nil || len(due) > 0 {
		t.Errorf("due before the campaign's start: %v, %v; want nothing", due, err)
	}
	// A pause and a resume must not make the campaign due before its start.
	_, err := r.Pause(t.Context(), "c", "me")
	r.ok(err)
	_, err = r.Resume(t.Context(), "c", "me")
	r.ok(err)
	if due, err := r.DueBatches(t.Context(), "c", start.Add(-time.Second)); err != nil || len(due) > 0 {
		t.Errorf("after Resume, due before the campaign's start: %v, %v; want nothing", due, err)
	}
	due, err := r.DueBatches(t.Context(), "c", start)
	if want := (Wake{Batch: PlanWork, Number: 1}); err != nil || len(due) != 1 || due[0] != want {
		t.Errorf("due at the campaign's start: %v, %v; want the plan with wake 1", due, err)
	}
}

func TestUpload_OneOfManyConcurrentUploadsWins(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	const n = 16
	type result struct {
		receipt Receipt
		err     error
	}
	results := make(chan result, n)
	for i := range n {
		body := []string{"one", "other"}[i%2]
		go func() {
			u, err := r.BeginUpload("c", campaign.Spec{Body: body})
			if err == nil {
				err = u.Add(t.Context(), "1")
			}
			var out Receipt
			if err == nil {
				out, err = u.Commit(t.Context())
			}
			results <- result{out, err}
		}()
	}
	first, again, conflict := 0, 0, 0
	for range n {
		x := <-results
		switch {
		case errors.Is(x.err, ErrConflict):
			conflict++
		case x.err != nil:
			t.Error(x.err)
		case x.receipt.Again:
			again++
		default:
			first++
		}
	}
	if first != 1 || again != n/2-1 || conflict != n/2 {
		t.Errorf("%d commits were first, %d the same again, %d in conflict; want one first, and half in conflict", first, again, conflict)
	}
	keys, err := r.rdb.Keys(t.Context(), keyPrefix+"{c}:u:*").Result()
	if err != nil && !errors.Is(err, redis.Nil) || len(keys) > 0 {
		t.Errorf("staging areas are left: %v, %v; want none", keys, err)
	}
}
