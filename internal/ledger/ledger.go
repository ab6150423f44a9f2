// Package ledger stores in Redis what Tuma has to send, what it tried and what the outcomes are. It
// is the only source of truth. Queues only wake workers. Every decision is one Lua script of this
// package. A caller that repeats a script gets the same answer again.
//
// All keys of a campaign share one hash tag, so that each script works on one slot of a cluster.
// layout.go lists the keys and fields. Unless a type says otherwise, everything in this package is
// safe for concurrent use.
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

	"github.com/tuma-sms/tuma/internal/campaign"
)

// Errors that callers distinguish with errors.Is.
var (
	// ErrNotFound means that there is no such campaign, or that retention has removed it.
	ErrNotFound = errors.New("no such campaign")
	// ErrConflict means that the campaign exists with other content.
	ErrConflict = errors.New("a campaign with this id but other content exists")
	// ErrNewer means that a newer release wrote this record. This release does not change the
	// record.
	ErrNewer = errors.New("written by a newer release of tuma")
	// ErrStopped means that the campaign is cancelled or expired, so the requested operation is not
	// possible.
	ErrStopped = errors.New("the campaign is stopped")
	// ErrDone means that the campaign has ended, so the requested operation is not possible.
	ErrDone = errors.New("the campaign is done")
)

// Ledger reads and writes the campaigns in one Redis.
type Ledger struct {
	rdb redis.UniversalClient
	// noFlags: the server does not understand the flags line of a script.
	noFlags atomic.Bool
	// durability is what binding scripts wait for. noWaitAOF: the server has no WAITAOF command.
	durability Durability
	noWaitAOF  atomic.Bool
	// drawNumber returns random numbers, used to name batches that recipients move to.
	drawNumber func() uint64
	// thresholdSample and thresholdSpan are ThresholdSample and ThresholdSpan; some tests change
	// them.
	thresholdSample, thresholdSpan int
	// batcher collects the requests for settle_and_claim.lua.
	batcher batcher
}

// New returns a ledger on a Redis client. The caller remains responsible for closing the client.
func New(rdb redis.UniversalClient) *Ledger { return NewDurable(rdb, Durability{}) }

// NewDurable is New for a ledger with the durability d. Its claims, settles and operators' orders
// return only when they are durable. One that is not durable in time returns ErrNotDurable.
func NewDurable(rdb redis.UniversalClient, d Durability) *Ledger {
	return &Ledger{rdb: rdb, durability: d, drawNumber: randomNumber, thresholdSample: campaign.ThresholdSample, thresholdSpan: campaign.ThresholdSpan}
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// ValidID reports whether id is a valid campaign id: 1 to 128 of A-Z a-z 0-9 . _ : -
func ValidID(id string) bool { return idPattern.MatchString(id) }

// NewToken returns 72 random bits as 12 characters. A script recognises a repeated request by its
// token.
func NewToken() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// errorFor returns the error that the first word of a script's answer stands for, or nil.
func errorFor(word string) error {
	switch word {
	case "missing":
		return ErrNotFound
	case "newer":
		return ErrNewer
	}
	return nil
}

// run runs a script on a campaign and returns its answer as text. With ErrNotDurable it also
// returns the answer.
func (l *Ledger) run(ctx context.Context, s *script, id string, keys []string, args ...any) ([]string, error) {
	all := append([]string{ledgerKey(id), openKey(id)}, keys...)
	out, err := l.evalStrings(ctx, s, all, args...)
	return checkAnswer(s, id, args, out, err)
}

// checkAnswer returns the answer of a campaign's script, or the error that the answer stands for.
func checkAnswer(s *script, id string, args []any, out []string, err error) ([]string, error) {
	err = scriptFault(id, s.name, args, err)
	if len(out) > 0 {
		// "missing" and "newer" take precedence over ErrNotDurable.
		if v := errorFor(out[0]); v != nil {
			err = v
		}
	}
	if err != nil {
		return out, fmt.Errorf("%s %s: %w", s.name, id, err)
	}
	return out, nil
}
