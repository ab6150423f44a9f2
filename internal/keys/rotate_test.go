package keys

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestRotate_OverlapsAndSharesLimits(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	now := time.Now()
	s.now = func() time.Time { return now }
	secret, old, err := s.Create(t.Context(), Key{Name: "shop", Scopes: []Scope{ScopeSend}, Accounts: []string{"at"}, Senders: []string{"ACME"}, Daily: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), old, 0, 3); err != nil {
		t.Fatal(err)
	}
	newSecret, made, err := s.Rotate(t.Context(), old.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == old.ID || made.Name != "shop" || !slices.Equal(made.Scopes, old.Scopes) || !slices.Equal(made.Accounts, old.Accounts) || !slices.Equal(made.Senders, old.Senders) || made.Daily != 5 || !made.ExpiresAt.IsZero() {
		t.Errorf("the new key is %+v, want the properties of %+v", made, old)
	}
	read, err := s.Verify(t.Context(), newSecret)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), read, 0, 3); !errors.Is(err, ErrSpent) {
		t.Errorf("both keys together may send more than the limit: %v", err)
	}
	if err := s.Take(t.Context(), read, 0, 2); err != nil {
		t.Error(err)
	}
	if _, err := s.Verify(t.Context(), secret); err != nil {
		t.Errorf("the old key in the overlap: %v", err)
	}
	now = now.Add(time.Hour)
	if _, err := s.Verify(t.Context(), secret); !errors.Is(err, ErrUnknown) {
		t.Errorf("the old key after the overlap: %v, want ErrUnknown", err)
	}
	if _, _, err := s.Rotate(t.Context(), old.ID, time.Hour); !errors.Is(err, ErrNoKey) {
		t.Errorf("rotate a key that has expired: %v, want ErrNoKey", err)
	}
	third, last, err := s.Rotate(t.Context(), made.ID, 0)
	if err != nil || last.CountedAs != old.ID {
		t.Fatalf("rotate again: %+v, %v", last, err)
	}
	if _, err := s.Verify(t.Context(), newSecret); !errors.Is(err, ErrUnknown) {
		t.Errorf("a key that was rotated without overlap: %v, want ErrUnknown", err)
	}
	if _, err := s.Verify(t.Context(), third); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Rotate(t.Context(), last.ID, MaxOverlap+1); err == nil {
		t.Error("an overlap beyond the maximum is allowed")
	}
}

// If a key is rotated and revoked at the same time, the rotation must not restore the revoked key. If two
// rotations run at the same time, only one of them may replace the key.
func TestRotate_BesideRevokeAndItself(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 20 {
		secret, old, err := s.Create(t.Context(), Key{Name: "shop", Scopes: []Scope{ScopeSend}})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := s.Revoke(t.Context(), old.ID); err != nil {
				t.Error(err)
			}
		})
		for range 2 {
			all.Go(func() {
				if _, _, err := s.Rotate(t.Context(), old.ID, time.Hour); err != nil && !errors.Is(err, ErrNoKey) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := s.Verify(t.Context(), secret); !errors.Is(err, ErrUnknown) {
			t.Fatalf("the revoked key is valid: %v", err)
		}
	}
}

// GiveBackCancelled subtracts cancelled messages from the daily count only once, even if the caller reports them
// several times. After the day of the enqueue it subtracts nothing.
func TestGiveBackCancelled_Once(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, k, err := s.Create(t.Context(), Key{Name: "shop (main)", Scopes: []Scope{ScopeSend}, Daily: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), k, 0, 100); err != nil {
		t.Fatal(err)
	}
	by, now := CreatedBy(k), time.Now()
	if id, name := Owner(by); id != k.ID || name != k.Name {
		t.Errorf("the owner of %q is %q, %q", by, id, name)
	}
	give := func(by, campaign string, created time.Time, n int) {
		t.Helper()
		for range 2 {
			if err := s.GiveBackCancelled(t.Context(), by, campaign, created, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	give(by, "c", now, 10)
	give(by, "c", now, 12) // two calls that were in flight have ended
	give(by, "c", now, 11) // a late sweep
	give(by, "d", now, 5)
	give(by, "old", now.Add(-48*time.Hour), 50)
	give("jane@laptop", "e", now, 50)
	give("key:gone (ffffffffff)", "f", now, 50)
	if err := s.Take(t.Context(), k, 0, 18); !errors.Is(err, ErrSpent) {
		t.Errorf("18 more messages: %v, want ErrSpent: 17 were given back", err)
	}
	if err := s.Take(t.Context(), k, 0, 17); err != nil {
		t.Errorf("17 more messages: %v", err)
	}
	give(by, "g", now, 1000)
	if got := s.rdb.HGet(t.Context(), spentKey(k.ID), "messages").Val(); got != "0" {
		t.Errorf("the count of today is %s, want 0", got)
	}
	if err := s.Correct(t.Context(), k, 150); err != nil {
		t.Errorf("a correction beyond the limit: %v", err)
	}
}
