// Package keys stores the keys of the HTTP API in Redis, with their permissions and limits. A key is shown
// only once, when it is made. Redis holds only the SHA-256 hash of a key.
package keys

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Scope is a permission of a key.
type Scope string

const (
	// ScopeRead permits reading campaigns, messages, results, accounts and the inbox.
	ScopeRead Scope = "read"
	// ScopeSend permits enqueueing and controlling campaigns and messages.
	ScopeSend Scope = "send"
	// ScopeAdmin permits all operations, such as the hold of an account.
	ScopeAdmin Scope = "admin"
)

// Scopes are all scopes.
var Scopes = []Scope{ScopeRead, ScopeSend, ScopeAdmin}

// Key is the record of an API key in Redis.
type Key struct {
	// ID is the readable part of the key. Lists of keys show it, and Revoke needs it.
	ID string `json:"id"`
	// Name is the name of the caller, such as a service. Several keys may have one name, such as an
	// old key and the key that replaces it.
	Name   string  `json:"name"`
	Scopes []Scope `json:"scopes"`
	// Accounts and Senders are the accounts and sender IDs with which the key may send. Empty means all.
	Accounts []string `json:"accounts"`
	Senders  []string `json:"senders"`
	// Daily is the number of messages that the key may enqueue on one day in UTC; 0 means no limit.
	Daily int `json:"daily"`
	// PerSecond is the number of requests a second; 0 means no limit.
	PerSecond int `json:"per_second"`
	// CountedAs is the ID under which the usage of the key is counted. If it is empty, the key's own ID
	// applies. A key that replaces an older key shares the counts of the older key, so that a rotation
	// does not raise a limit.
	CountedAs string `json:"counted_as,omitempty"`
	// ExpiresAt is when the key expires. Zero means never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	// LastUsedAt is when the key was last used, to the minute. Zero means never.
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// The type "stored" is the form of a Key in Redis.
type stored struct {
	Key
	Hash string `json:"hash"`
}

// Allows reports whether the key has the scope s. A key with ScopeAdmin has all scopes. A key with
// ScopeSend also has ScopeRead.
func (k *Key) Allows(s Scope) bool {
	return slices.Contains(k.Scopes, ScopeAdmin) || slices.Contains(k.Scopes, s) || s == ScopeRead && slices.Contains(k.Scopes, ScopeSend)
}

// MaySend returns an error unless the key may send through the account with the given sender ID.
// An empty account means that the routes choose the account. An empty sender means that the
// account chooses the sender ID. If the key is limited to some accounts or senders, the caller
// must name one of these.
func (k *Key) MaySend(account, sender string) error {
	var mistakes []error
	if len(k.Accounts) > 0 && !slices.Contains(k.Accounts, account) {
		mistakes = append(mistakes, fmt.Errorf("via: this key may send only through %s", strings.Join(k.Accounts, ", ")))
	}
	if len(k.Senders) > 0 && !slices.Contains(k.Senders, sender) {
		mistakes = append(mistakes, fmt.Errorf("from: this key may send only as %s", strings.Join(k.Senders, ", ")))
	}
	return errors.Join(mistakes...)
}

const (
	prefix = "tuma_"
	// listKey is the hash of all keys, by ID. usedKey is the hash of the times, in ms, at which each
	// key was last used.
	listKey = script.KeyPrefix + "keys"
	usedKey = script.KeyPrefix + "keys:used"
	// usedEvery is the precision of the time of the last use.
	usedEvery = time.Minute
)

// These are the errors of Verify and Take.
var (
	// ErrUnknown means that the key is not valid, because it never existed, was revoked, or has expired.
	ErrUnknown = errors.New("the key is not valid")
	// ErrTooFast means that the key has made too many requests in this second.
	ErrTooFast = errors.New("too many requests a second for this key")
	// ErrSpent means that the key has reached its daily limit of messages.
	ErrSpent = errors.New("this key has reached its daily limit of messages")
)

// Store reads and writes the keys. It is safe for concurrent use, also by several processes.
type Store struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
	now     func() time.Time
}

// New returns the Store in the Redis of a Runner.
func New(r *script.Runner) *Store { return &Store{rdb: r.Redis(), scripts: r, now: time.Now} }

// Create makes a key with the properties of k. Create itself sets the ID and the times of the key. The
// secret is the text that a caller of the API sends. It cannot be read again.
func (s *Store) Create(ctx context.Context, k Key) (secret string, made Key, err error) {
	if err := k.check(s.now()); err != nil {
		return "", k, err
	}
	k.CountedAs = ""
	secret, k, record, err := s.make(k)
	if err != nil {
		return "", k, fmt.Errorf("create key: %w", err)
	}
	if err := s.rdb.HSet(ctx, listKey, k.ID, record).Err(); err != nil {
		return "", k, fmt.Errorf("create key: %w", err)
	}
	return secret, k, nil
}

// The method "make" gives the key k a new ID and a new secret. It returns the secret, the changed key, and
// the key's record for Redis.
func (s *Store) make(k Key) (secret string, made Key, record []byte, err error) {
	var id [5]byte
	var random [32]byte
	_, _ = rand.Read(id[:]) // this never fails, because crypto/rand would end the program instead
	_, _ = rand.Read(random[:])
	k.Accounts, k.Senders = append([]string{}, k.Accounts...), append([]string{}, k.Senders...)
	k.ID, k.CreatedAt, k.LastUsedAt = hex.EncodeToString(id[:]), s.now().UTC().Truncate(time.Second), time.Time{}
	secret = prefix + k.ID + "_" + base64.RawURLEncoding.EncodeToString(random[:])
	record, err = json.Marshal(stored{k, hash(secret)})
	return secret, k, record, err
}

// MistakeError is a wrong property of a new key. Field is the name of the property in JSON.
type MistakeError struct{ Field, Problem string }

// Error returns the description of the mistake.
func (m *MistakeError) Error() string { return m.Problem }

const (
	// maxNamed is the maximum number of accounts of a key, and of senders of a key. maxName is the maximum length
	// of the name of a key, of an account and of a sender.
	maxNamed, maxName = 100, 64
)

// The method "check" returns all mistakes of a new key. Each mistake is a *MistakeError.
func (k *Key) check(now time.Time) error {
	var mistakes []error
	wrong := func(field, problem string) { mistakes = append(mistakes, &MistakeError{field, problem}) }
	control := func(r rune) bool { return r < ' ' || r == '\x7f' }
	if k.Name == "" || len(k.Name) > maxName || strings.ContainsFunc(k.Name, control) {
		wrong("name", "name must have 1 to 64 bytes without control characters")
	}
	if len(k.Scopes) == 0 {
		wrong("scopes", "scopes must have one or more of the scopes read, send and admin")
	}
	for _, x := range k.Scopes {
		if !slices.Contains(Scopes, x) {
			wrong("scopes", fmt.Sprintf("scope %.40q must be read, send or admin", x))
		}
	}
	for field, names := range map[string][]string{"accounts": k.Accounts, "senders": k.Senders} {
		if len(names) > maxNamed || slices.ContainsFunc(names, func(n string) bool { return n == "" || len(n) > maxName }) {
			wrong(field, field+" must be at most 100 names of 1 to 64 bytes")
		}
	}
	if k.Daily < 0 {
		wrong("daily", "daily must not be negative")
	}
	if k.PerSecond < 0 {
		wrong("per_second", "per_second must not be negative")
	}
	if !k.ExpiresAt.IsZero() && !k.ExpiresAt.After(now) {
		wrong("expires_at", "expires_at must be in the future")
	}
	return errors.Join(mistakes...)
}

// The function "hash" returns the form of a secret that Redis holds. The secret has 256 random bits, so an
// attacker cannot find the secret from a plain hash.
func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Verify uses noRecord if a key does not exist, so that it takes the same steps and the same time as for
// other keys. The hash in noRecord cannot be the hash of a secret.
const noRecord = `{"id":"0000000000","name":"no such key","scopes":["send"],"accounts":[],"senders":[],"daily":0,"per_second":0,` +
	`"created_at":"2025-01-01T00:00:00Z","hash":"0000000000000000000000000000000000000000000"}`

// maxSecret is a length in bytes. Verify treats every longer text as a wrong secret.
const maxSecret = 128

// Verify returns the key of a secret. For a text that is not the secret of a valid key, Verify returns
// ErrUnknown. For every invalid text it takes the same steps.
func (s *Store) Verify(ctx context.Context, secret string) (Key, error) {
	id := ""
	if rest, ok := strings.CutPrefix(secret, prefix); ok && len(secret) <= maxSecret {
		id, _, _ = strings.Cut(rest, "_")
	}
	record, err := s.rdb.HGet(ctx, listKey, id).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return Key{}, fmt.Errorf("verify key: %w", err)
	}
	var x stored
	if err := json.Unmarshal([]byte(cmp.Or(record, noRecord)), &x); err != nil {
		return Key{}, fmt.Errorf("verify key: the record of %s cannot be read: %w", id, err)
	}
	same := subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(x.Hash)) == 1
	if !same || record == "" || !x.ExpiresAt.IsZero() && !s.now().Before(x.ExpiresAt) {
		return Key{}, ErrUnknown
	}
	return x.Key, nil
}

// NoteUsed records that a key was used.
func (s *Store) NoteUsed(ctx context.Context, k Key) error {
	now := s.now()
	if now.Sub(k.LastUsedAt) < usedEvery {
		return nil
	}
	if err := s.rdb.HSet(ctx, usedKey, k.ID, now.UnixMilli()).Err(); err != nil {
		return fmt.Errorf("note the use of key %s: %w", k.ID, err)
	}
	return nil
}

// List returns all keys that were not revoked, by name.
func (s *Store) List(ctx context.Context) ([]Key, error) {
	records, err := s.rdb.HGetAll(ctx, listKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	used, err := s.rdb.HGetAll(ctx, usedKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	out := make([]Key, 0, len(records))
	for id, record := range records {
		var x stored
		if err := json.Unmarshal([]byte(record), &x); err != nil {
			return nil, fmt.Errorf("list keys: the record of %s cannot be read: %w", id, err)
		}
		if used[id] != "" {
			x.LastUsedAt = script.Milli(used[id]).UTC()
		}
		out = append(out, x.Key)
	}
	slices.SortFunc(out, func(a, b Key) int { return strings.Compare(a.Name+" "+a.ID, b.Name+" "+b.ID) })
	return out, nil
}

// Revoke makes a key invalid at once. It reports whether the key existed.
func (s *Store) Revoke(ctx context.Context, id string) (bool, error) {
	n, err := s.rdb.HDel(ctx, listKey, id).Result()
	if err != nil {
		return false, fmt.Errorf("revoke key %s: %w", id, err)
	}
	if err := s.rdb.HDel(ctx, usedKey, id).Err(); err != nil {
		return n > 0, fmt.Errorf("revoke key %s: %w", id, err)
	}
	return n > 0, nil
}
