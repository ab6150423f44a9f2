package script

import (
	"reflect"
	"testing"
	"time"
)

func TestArgsInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	type word string
	at := time.UnixMilli(1_764_323_173_000)
	got := Args(struct {
		Text   string
		Word   word
		N      int
		For    time.Duration
		At, No time.Time
		Yes    bool
		Jitter float64
		Blob   []byte
	}{"a", "answer", 2, 3 * time.Second, at, time.Time{}, true, 0.5, []byte("b")})
	want := []any{"a", "answer", int64(2), int64(3000), int64(1_764_323_173_000), int64(0), 1, "0.500000", []byte("b")}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Args = %v, want %v", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic for a field of a kind that no script reads")
		}
	}()
	Args(struct{ F func() }{})
}
