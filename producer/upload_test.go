package producer_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// wantNoCampaign checks that Redis keeps no data of the campaign "c".
func (b *testClient) wantNoCampaign(when string) {
	b.t.Helper()
	if s, err := b.Status(b.t.Context(), "c"); !errors.Is(err, producer.ErrNotFound) {
		b.t.Errorf("%s: status %+v, %v; want ErrNotFound", when, s, err)
	}
	for _, index := range []string{"tuma:open", "tuma:campaigns"} {
		if ids := b.rdb.ZRange(b.t.Context(), index, 0, -1).Val(); len(ids) != 0 {
			b.t.Errorf("%s: %s has %v; want nothing", when, index, ids)
		}
	}
}

// An Enqueue that fails must not delete the status, the index entries or the pages of another
// Enqueue of the same campaign.
func TestEnqueue_CleanUpLeavesOtherUploadsOfTheID(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	uploaded, finish := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		r, err := b.Enqueue(t.Context(), validCampaign(), func(yield func(producer.Recipient, error) bool) {
			for r := range manyRecipients(15_000) {
				if !yield(r, nil) {
					return
				}
			}
			close(uploaded)
			<-finish
		})
		if err == nil && (r.Again || r.Total != 15_000) {
			err = errors.New("not the first receipt")
		}
		done <- err
	}()
	<-uploaded
	broken := errors.New("the file broke off")
	for range 3 { // each Enqueue may fail at a different time: before, during or after the write of its first pages
		_, err := b.Enqueue(t.Context(), validCampaign(), func(yield func(producer.Recipient, error) bool) {
			for r := range manyRecipients(15_000) {
				if !yield(r, nil) {
					return
				}
			}
			yield(producer.Recipient{}, broken)
		})
		if !errors.Is(err, broken) {
			t.Errorf("Enqueue of a sequence with an error: %v; want that error", err)
		}
		if s, err := b.Status(t.Context(), "c"); err != nil || s.State != producer.Uploading {
			t.Errorf("status %+v, %v; want uploading, because another upload continues", s, err)
		}
	}
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("the other Enqueue: %v; want a first receipt", err)
	}
	for _, index := range []string{"tuma:open", "tuma:campaigns"} {
		if ids := b.rdb.ZRange(t.Context(), index, 0, -1).Val(); len(ids) != 1 {
			t.Errorf("%s has %v; want the campaign", index, ids)
		}
	}
	if keys := b.rdb.Keys(t.Context(), "tuma:{c}:u*").Val(); len(keys) != 0 {
		t.Errorf("the keys %v remain; want none", keys)
	}
}

// Uploads of one ID begin, fail and commit at the same time. If one of them commits, the campaign
// must be in both indexes: the index of all campaigns and the index of open campaigns. Otherwise
// the sweeper would never process the campaign.
func TestEnqueue_FailuresBesideACommitKeepItsIndexEntries(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	for round := range 20 {
		c := validCampaign()
		c.ID = "c" + strconv.Itoa(round)
		var all sync.WaitGroup
		for n := range 6 {
			all.Go(func() {
				own := c
				own.RequireCredit = n > 0 // the balance is not known, so RequireCredit makes five of six calls fail
				if _, err := b.Enqueue(t.Context(), own, manyRecipients(9000)); err != nil && n == 0 {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, index := range []string{"tuma:open", "tuma:campaigns"} {
			if err := b.rdb.ZScore(t.Context(), index, c.ID).Err(); err != nil {
				t.Errorf("%s is not in %s: %v", c.ID, index, err)
			}
		}
	}
}

// If the process of an upload dies, the status must not stay "uploading" for a day.
func TestEnqueue_StatusOfADeadUploadExpires(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	_, err := b.Enqueue(t.Context(), validCampaign(), func(yield func(producer.Recipient, error) bool) {
		for r := range manyRecipients(15_000) {
			if !yield(r, nil) {
				return
			}
		}
		if s := b.status("c"); s.State != producer.Uploading || s.CreatedAt.IsZero() {
			t.Errorf("status %+v during the upload; want uploading", s)
		}
		if ttl := b.rdb.PTTL(t.Context(), "tuma:{c}:up").Val(); ttl <= 0 || ttl > 2*time.Minute {
			t.Errorf("the uploads in progress expire in %v; want at most two minutes", ttl)
		}
		// The record of the upload expires. Each page that is written afterwards creates the record
		// again.
		var err error
		for range 100 {
			b.rdb.Del(t.Context(), "tuma:{c}:up")
			if _, err = b.Status(t.Context(), "c"); errors.Is(err, producer.ErrNotFound) {
				return
			}
		}
		t.Errorf("status error %v; want ErrNotFound", err)
	})
	if err != nil || b.status("c").Total != 15_000 {
		t.Errorf("Enqueue = %v; want the campaign, because the upload was not dead after all", err)
	}
}

func TestEnqueue_StartAtTheMomentIsNow(t *testing.T) {
	t.Parallel()
	at := time.Now()
	b := newTestClient(t, producer.WithClock(func() time.Time { return at }))
	b.serve("kobo-main")
	for id, start := range map[string]time.Time{"now": at, "just before": at.Add(-time.Millisecond), "cut-to-a-second": at.Add(-time.Second + 1)} {
		c := validCampaign()
		c.ID, c.StartAt = strings.ReplaceAll(id, " ", "-"), start
		if _, err := b.Enqueue(t.Context(), c, manyRecipients(3)); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		if s := b.status(c.ID); s.State != producer.Planning {
			t.Errorf("%s: state %s; want planning at once", id, s.State)
		}
	}
	if n := b.rdb.LLen(t.Context(), "asynq:{tuma-send:kobo-main}:pending").Val(); n != 3 {
		t.Errorf("%d plan tasks; want one for each campaign", n)
	}
}
