package events

import (
	"errors"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

func newStream(t *testing.T, limit int) (*Stream, *redis.Client) {
	t.Helper()
	rdb := redistest.Start(t).Client()
	return New(script.NewRunner(rdb, script.Durability{}), limit), rdb
}

// The function "add" appends n events. The names of their campaigns are consecutive numbers. The
// parameter "from" is the first number.
func add(t *testing.T, s *Stream, from, n int) {
	t.Helper()
	for i := range n {
		if err := s.Add(t.Context(), Event{Kind: CampaignState, Campaign: strconv.Itoa(from + i), State: "done"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPage_ContinuesAtACursor(t *testing.T) {
	t.Parallel()
	s, _ := newStream(t, 0)
	add(t, s, 0, 250)
	after, seen := "", 0
	for {
		page, err := s.Page(t.Context(), after, 70)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if e.Campaign != strconv.Itoa(seen) || e.At.IsZero() {
				t.Fatalf("event %d is %+v", seen, e)
			}
			seen, after = seen+1, e.Cursor
		}
	}
	last, err := s.Last(t.Context())
	if seen != 250 || err != nil || last != after {
		t.Errorf("%d events up to %s, last %s, error %v; want 250", seen, after, last, err)
	}
}

func TestPage_ReportsRemovedEventsOnce(t *testing.T) {
	t.Parallel()
	s, rdb := newStream(t, 100)
	add(t, s, 0, 1)
	cursor, err := s.Last(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, 1, 600)
	if n := rdb.XLen(t.Context(), streamKey).Val(); n < 100 || n > 250 {
		t.Errorf("the stream has %d events; want about 100", n)
	}
	var lost *LostError
	if _, err := s.Page(t.Context(), cursor, 500); !errors.As(err, &lost) || lost.After != cursor {
		t.Fatalf("page after a removed event: %v; want a LostError", err)
	}
	page, err := s.Page(t.Context(), lost.Next, 500)
	if err != nil || len(page) < 100 || page[len(page)-1].Campaign != "600" {
		t.Errorf("page after %s: %d events, error %v; want all that are left", lost.Next, len(page), err)
	}
}

func TestPage_ReportsThatRedisHasLostEvents(t *testing.T) {
	t.Parallel()
	s, rdb := newStream(t, 0)
	add(t, s, 0, 3)
	cursor := "9999999999999-5" // the cursor of an event that was newer than the copy from which Redis was restored
	var lost *LostError
	if _, err := s.Page(t.Context(), cursor, 10); !errors.As(err, &lost) {
		t.Fatalf("page after the newest event: %v; want a LostError", err)
	}
	if page, err := s.Page(t.Context(), lost.Next, 10); err != nil || len(page) != 3 {
		t.Errorf("page after %s: %d events, error %v; want 3", lost.Next, len(page), err)
	}
	rdb.Del(t.Context(), streamKey)
	if _, err := s.Page(t.Context(), cursor, 10); !errors.As(err, &lost) {
		t.Errorf("page of an empty stream: %v; want a LostError", err)
	}
}

func TestPage_RefusesOtherTexts(t *testing.T) {
	t.Parallel()
	s, _ := newStream(t, 0)
	for _, after := range []string{"yesterday", "1", "1-", "-1", "1-1x", "1-99999999999999999999", "$", "+"} {
		if _, err := s.Page(t.Context(), after, 10); !errors.Is(err, ErrCursor) {
			t.Errorf("page after %q: %v; want ErrCursor", after, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"k":"campaign.state","c":"a","n":{"t":2}}`)
	f.Add(`{"k":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		if s := decode("5-1", text); s.Cursor != "5-1" || s.At.UnixMilli() != 5 {
			t.Errorf("decode %q: %+v; want the cursor and the time of the entry", text, s)
		}
	})
}
