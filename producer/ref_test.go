package producer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/producer"
)

// withRefs returns recipients with the given references.
func withRefs(refs ...string) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i, ref := range refs {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+254712%06d", i), Ref: ref}, nil) {
				return
			}
		}
	}
}

func TestRecipientRef_ComesBackEverywhere(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	ctx := t.Context()
	refs := []string{"order 1", "", strings.Repeat("ü", producer.MaxRef/2)}
	if _, err := b.Enqueue(ctx, validCampaign(), withRefs(refs...)); err != nil {
		t.Fatal(err)
	}
	if r, err := b.Enqueue(ctx, validCampaign(), withRefs(refs...)); err != nil || !r.Again {
		t.Errorf("the same references: %+v, %v; want the first receipt again", r, err)
	}
	if _, err := b.Enqueue(ctx, validCampaign(), withRefs("order 1", "", "order 3")); !errors.Is(err, producer.ErrConflict) {
		t.Errorf("another reference: error %v, want ErrConflict", err)
	}
	for r, err := range b.Results(ctx, "c") {
		if err != nil || r.Ref != refs[r.Row-1] {
			t.Errorf("row %d has the reference %q, %v; want %q", r.Row, r.Ref, err, refs[r.Row-1])
		}
	}
	found := b.find("254712000000", producer.FindOptions{})
	if len(found.Messages) != 1 || found.Messages[0].Ref != "order 1" {
		t.Errorf("found %+v, want one message with the reference", found.Messages)
	}
	if text, err := json.Marshal(found.Messages[0]); err != nil || !strings.Contains(string(text), `"ref":"order 1"`) {
		t.Errorf("JSON is %s, %v; want the reference", text, err)
	}
	one, err := b.Send(ctx, producer.Message{ID: "m", Via: "kobo-main", To: "+254733000000", Body: "Code", Ref: "user 7"})
	if err != nil {
		t.Fatal(err)
	}
	if found := b.find("254733000000", producer.FindOptions{}); len(found.Messages) != 1 || found.Messages[0].Ref != "user 7" {
		t.Errorf("found %+v, want message %s with the reference", found.Messages, one.ID)
	}
}

func TestRecipientRef_MistakesAreRefused(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	for name, ref := range map[string]string{"too long": strings.Repeat("x", producer.MaxRef+1), "line break": "a\nb", "not UTF-8": "a\xff"} {
		_, err := b.Enqueue(t.Context(), validCampaign(), withRefs("ok", ref))
		if !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), "recipient 2: the ref must be UTF-8 of at most 64 bytes") {
			t.Errorf("%s: Enqueue: %v", name, err)
		}
		if _, err := b.Preview(t.Context(), validCampaign(), withRefs("ok", ref), producer.PreviewOptions{}); !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("%s: Preview: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := b.Status(t.Context(), "c"); !errors.Is(err, producer.ErrNotFound) {
		t.Errorf("status: %v, want ErrNotFound: nothing was enqueued", err)
	}
	x, err := producer.ContentID(validCampaign(), withRefs("a"))
	y, err2 := producer.ContentID(validCampaign(), withRefs("b"))
	if err != nil || err2 != nil || x == y {
		t.Errorf("the IDs from the contents are %q and %q (%v, %v), want different ones", x, y, err, err2)
	}
}
