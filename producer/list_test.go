package producer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
)

func (b *testClient) listed(o producer.ListOptions) (ids []string) {
	b.t.Helper()
	for s, err := range b.ListCampaigns(b.t.Context(), o) {
		if err != nil {
			b.t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	return ids
}

// backdate changes the creation time of a campaign: the new time is earlier by d.
func (b *testClient) backdate(id string, d time.Duration) {
	b.t.Helper()
	created := b.status(id).CreatedAt.Add(-d).UnixMilli()
	if err := b.rdb.HSet(b.t.Context(), "tuma:{"+id+"}:l", "at", created).Err(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.rdb.ZAdd(b.t.Context(), "tuma:campaigns", redis.Z{Score: float64(created), Member: id}).Err(); err != nil {
		b.t.Fatal(err)
	}
}

func TestListCampaigns_Selects(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	for i, id := range []string{"single", "old", "paused", "new"} {
		c := validCampaign()
		c.ID = id
		b.enqueue(c, min(i+1, 2))
		b.backdate(id, time.Duration(10-i)*time.Hour)
	}
	b.backdate("old", 30*24*time.Hour)
	if _, err := b.Pause(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	var skipped []string
	for name, tt := range map[string]struct {
		o    producer.ListOptions
		want []string
	}{
		"all":         {producer.ListOptions{}, []string{"new", "paused", "single", "old"}},
		"limit":       {producer.ListOptions{Limit: 3}, []string{"new", "paused", "single"}},
		"since":       {producer.ListOptions{Since: time.Now().Add(-9 * time.Hour)}, []string{"new", "paused"}},
		"state":       {producer.ListOptions{States: []producer.State{producer.Paused, producer.Done}}, []string{"paused"}},
		"limit state": {producer.ListOptions{Limit: 2, States: []producer.State{producer.Planning}}, []string{"new", "single"}},
		"no singles":  {producer.ListOptions{SkipSingle: true, Skipped: func(id string) { skipped = append(skipped, id) }}, []string{"new", "paused", "old"}},
	} {
		if diff := cmp.Diff(tt.want, b.listed(tt.o)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	if !slices.Equal(skipped, []string{"single"}) {
		t.Errorf("Skipped was called for %q, want single", skipped)
	}
	for _, o := range []producer.ListOptions{{Limit: -1}, {States: []producer.State{"sent"}}} {
		for _, err := range b.ListCampaigns(t.Context(), o) {
			if !errors.Is(err, producer.ErrInvalid) {
				t.Errorf("%+v: got error %v, want ErrInvalid", o, err)
			}
		}
	}
}

// The test enqueues more campaigns than one request returns, many of them in the same
// millisecond. The list must have each campaign once.
func TestListCampaigns_ManyOfTheSameMoment(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	const n = 1200
	var want []string
	pipe := b.rdb.Pipeline()
	for i := range n {
		id := fmt.Sprintf("c%04d", i)
		want = append(want, id)
		pipe.ZAdd(t.Context(), "tuma:campaigns", redis.Z{Score: float64(1_700_000_000_000 + i/1100), Member: id})
		pipe.HSet(t.Context(), "tuma:{"+id+"}:l", "v", "1", "total", "2", "pending", "2", "at", "1700000000000", "pg", "1", "cur", "0")
		pipe.Set(t.Context(), "tuma:{"+id+"}:s", `{"b":"x"}`, 0)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	if diff := cmp.Diff(want, b.listed(producer.ListOptions{SkipSingle: true})); diff != "" {
		t.Error(diff)
	}
}

func TestStatus_WhatWasSentAndByWhom(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := validCampaign()
	c.Body, c.Country, c.Class, c.CreatedBy, c.Notes = "Hi {{name}}", "ke", producer.Transactional, "jane@laptop", []string{"read the sheet \"May\""}
	recipients := func(yield func(producer.Recipient, error) bool) {
		yield(producer.Recipient{Number: "0712345678", Fields: map[string]string{"name": "Jane"}}, nil)
	}
	first, err := b.Enqueue(t.Context(), c, recipients)
	if err != nil {
		t.Fatal(err)
	}
	s := b.status("c")
	if s.Body != c.Body || s.From != "ACME" || s.Via != "kobo-main" || s.Class != producer.Transactional || s.Country != "KE" || s.CreatedBy != c.CreatedBy || !slices.Equal(s.Notes, c.Notes) {
		t.Errorf("status = %+v; want what was enqueued, with the sender ID of the account", s)
	}
	// If another user enqueues the same campaign with the same content, the first receipt is
	// returned.
	c.CreatedBy, c.Notes = "ali@server", nil
	again, err := b.Enqueue(t.Context(), c, recipients)
	if err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the same content from a colleague: receipt %+v, error %v; want the first receipt again", again, err)
	}
	if s := b.status("c"); s.CreatedBy != "jane@laptop" {
		t.Errorf("created by %q after the second enqueue; want jane@laptop", s.CreatedBy)
	}
	// The ID that is derived from the content does not depend on the user that enqueues the
	// campaign.
	ids := map[string]bool{}
	for _, by := range []string{"", "jane@laptop"} {
		c.CreatedBy = by
		id, err := producer.ContentID(c, recipients)
		if err != nil {
			t.Fatal(err)
		}
		ids[id] = true
	}
	if len(ids) != 1 {
		t.Errorf("the content IDs %v depend on CreatedBy; want one ID", ids)
	}
	c.From = "OTHER"
	c.ID = "named"
	if _, err := b.Enqueue(t.Context(), c, recipients); err != nil {
		t.Fatal(err)
	}
	if s := b.status("named"); s.From != "OTHER" {
		t.Errorf("sender ID %q, want OTHER", s.From)
	}
}

// Enqueue calls the function NotesAtEnd after it has read the last recipient. It stores the notes of Campaign.Notes
// first, and then the notes from NotesAtEnd.
func TestEnqueue_NotesAtEnd(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := validCampaign()
	read := 0
	recipients := func(yield func(producer.Recipient, error) bool) {
		for range 3 {
			read++
			if !yield(producer.Recipient{Number: fmt.Sprintf("07123456%02d", read)}, nil) {
				return
			}
		}
	}
	c.Notes = []string{"first"}
	c.NotesAtEnd = func() []string { return []string{fmt.Sprintf("%d recipients were read", read)} }
	if _, err := b.Enqueue(t.Context(), c, recipients); err != nil {
		t.Fatal(err)
	}
	if got, want := b.status("c").Notes, []string{"first", "3 recipients were read"}; !slices.Equal(got, want) {
		t.Errorf("notes = %q; want %q", got, want)
	}
	c.ID, c.NotesAtEnd = "bad", func() []string { return []string{"two\nlines"} }
	if _, err := b.Enqueue(t.Context(), c, recipients); !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), "notes: note 2 must be") {
		t.Errorf("a note of two lines: error %v; want ErrInvalid that names note 2", err)
	}
	if _, err := b.Status(t.Context(), "bad"); !errors.Is(err, producer.ErrNotFound) {
		t.Errorf("status of the refused campaign: error %v; want ErrNotFound", err)
	}
}

func TestStatus_OfACampaignOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 2)
	if err := b.rdb.Set(t.Context(), "tuma:{c}:s", `{"v":"kobo-main","b":"Hello"}`, 0).Err(); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c"); s.Body != "Hello" || s.CreatedBy != "" || s.Notes == nil || len(s.Notes) != 0 || s.Class != producer.Marketing {
		t.Errorf("status = %+v; want the text, and neither an author nor notes", s)
	}
}

func TestCheck_BoundsCreatedByAndNotes(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := validCampaign()
	c.CreatedBy, c.Notes = strings.Repeat("x", producer.MaxCreatedBy), slices.Repeat([]string{strings.Repeat("n", producer.MaxNote)}, producer.MaxNotes)
	if err := b.Check(t.Context(), c); err != nil {
		t.Errorf("at the limits: error %v, want none", err)
	}
	for field, change := range map[string]func(*producer.Campaign){
		"created_by: has 129 bytes": func(c *producer.Campaign) { c.CreatedBy += "x" },
		"created_by: must be UTF-8": func(c *producer.Campaign) { c.CreatedBy = "a\x1b[2J" },
		"notes: has 21 notes":       func(c *producer.Campaign) { c.Notes = append(c.Notes, "") },
		"notes: note 2 has 401":     func(c *producer.Campaign) { c.Notes = []string{"", strings.Repeat("n", producer.MaxNote+1)} },
		"notes: note 1 must be":     func(c *producer.Campaign) { c.Notes = []string{"two\nlines"} },
	} {
		bad := c
		bad.Notes = slices.Clone(c.Notes)
		change(&bad)
		if err := b.Check(t.Context(), bad); !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("got error %v, want ErrInvalid with %q", err, field)
		}
	}
}
