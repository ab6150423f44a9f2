package producer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/producer"
)

// A purged campaign leaves one key in Redis: the tombstone, without any number or text.
func TestPurge_DeletesAnEndedCampaign(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.serve("other")
	c := validCampaign()
	c.ID = "c"
	b.enqueue(c, 30)
	if err := b.Purge(t.Context(), "c"); !errors.Is(err, producer.ErrNotEnded) || b.status("c").Pending != 30 {
		t.Errorf("before the end Purge returned %v, status %+v; want ErrNotEnded and an unchanged campaign", err, b.status("c"))
	}
	// The campaign is cancelled, and the test pretends that one call was submitted. So Purge must
	// not free the ID.
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if err := b.rdb.HSet(t.Context(), "tuma:{c}:l", "calls", 1).Err(); err != nil {
		t.Fatal(err)
	}
	if err := b.Purge(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Status(t.Context(), "c"); !errors.Is(err, producer.ErrNotFound) {
		t.Errorf("after Purge, Status returned %v, want ErrNotFound", err)
	}
	if err := b.Purge(t.Context(), "c"); !errors.Is(err, producer.ErrNotFound) {
		t.Errorf("the second Purge returned %v, want ErrNotFound", err)
	}
	keys, err := b.rdb.Keys(t.Context(), "*{c}*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("Redis holds %q (%v), want one key", keys, err)
	}
	if kept := b.rdb.Get(t.Context(), keys[0]).Val(); strings.Contains(kept, c.Body) || strings.Contains(kept, "2547") {
		t.Errorf("the tombstone is %q, want no text and no number", kept)
	}
	for id, err := range b.List(t.Context()) {
		t.Errorf("the list has %+v, %v; want no campaign", id, err)
	}
	receipt, err := b.Enqueue(t.Context(), c, manyRecipients(30))
	if err != nil || !receipt.Again {
		t.Errorf("the same content again: got %+v, %v; want a receipt with Again", receipt, err)
	}
	if _, err := b.Enqueue(t.Context(), c, manyRecipients(29)); !errors.Is(err, producer.ErrConflict) {
		t.Errorf("other content: got %v, want ErrConflict", err)
	}
}
