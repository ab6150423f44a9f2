// Package ledger is the truth of Tuma: what has to be sent, what was tried and
// what came of it, in Redis. Queues only wake workers up; every decision is one
// Lua script here, and every script answers the same caller the same again.
//
// All keys of a campaign share one hash tag, so that each script works on one
// slot of a cluster; layout.go lists the keys and fields. Everything in this
// package is safe for concurrent use.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrNotFound: there is no such campaign, or retention has removed it.
	ErrNotFound = errors.New("no such campaign")
	// ErrConflict: the campaign exists with other content.
	ErrConflict = errors.New("a campaign with this id and other content exists")
	// ErrNewer: a newer release wrote this record; this one leaves it alone.
	ErrNewer = errors.New("written by a newer release of tuma")
	// ErrStopped: the campaign is cancelled or expired, and takes no such order.
	ErrStopped = errors.New("the campaign is stopped")
	// ErrDone: the campaign has ended, and takes no such order.
	ErrDone = errors.New("the campaign is done")
)

// Ledger reads and writes campaigns in one Redis.
type Ledger struct {
	rdb redis.UniversalClient
	// noFlags: the server cannot read a script's flags line.
	noFlags atomic.Bool
	// durability is what binding scripts wait for; noWaitAOF: the server cannot be asked.
	durability Durability
	noWaitAOF  atomic.Bool
	// lot draws the numbers of batches that recipients move to.
	drawNumber func() uint64
	// limitSample and limitSpan are LimitSample and LimitSpan, but in some tests.
	thresholdSample, thresholdSpan int
	// together is where callers of next.lua meet.
	batcher batcher
}

// New returns a ledger on a Redis client that stays the caller's.
func New(rdb redis.UniversalClient) *Ledger { return NewDurable(rdb, Durability{}) }

// NewDurable is New for a ledger whose claims, settles and orders must be durable
// before they count. What is not in time is an ErrNotDurable.
func NewDurable(rdb redis.UniversalClient, d Durability) *Ledger {
	return &Ledger{rdb: rdb, durability: d, drawNumber: randomNumber, thresholdSample: ThresholdSample, thresholdSpan: ThresholdSpan}
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// ValidID says whether id can name a campaign: [A-Za-z0-9._:-]{1,128}.
func ValidID(id string) bool { return idPattern.MatchString(id) }

// NewToken returns 72 random bits as 12 characters: what a caller gives a script
// to be known again by.
func NewToken() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// verdict turns the first word of a script's answer into an error, where it is one.
func errorFor(word string) error {
	switch word {
	case "missing":
		return ErrNotFound
	case "newer":
		return ErrNewer
	}
	return nil
}

// run calls a script on a campaign and returns its answer as text, which comes
// beside an ErrNotDurable too.
func (l *Ledger) run(ctx context.Context, s *script, id string, keys []string, args ...any) ([]string, error) {
	all := append([]string{ledgerKey(id), openKey(id)}, keys...)
	out, err := l.evalStrings(ctx, s, all, args...)
	return checkAnswer(s, id, args, out, err)
}

// judged is what an answer of a campaign's script means.
func checkAnswer(s *script, id string, args []any, out []string, err error) ([]string, error) {
	err = scriptFault(id, s.name, args, err)
	if len(out) > 0 {
		// A campaign that is not there is no matter of durability.
		if v := errorFor(out[0]); v != nil {
			err = v
		}
	}
	if err != nil {
		return out, fmt.Errorf("%s %s: %w", s.name, id, err)
	}
	return out, nil
}
