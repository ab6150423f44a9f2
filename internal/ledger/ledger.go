// Package ledger stores in Redis what Tuma has to send, what it tried and what the outcomes are. It
// is the only source of truth. Queues only wake workers. Every decision is one Lua script of this
// package. If a caller runs a script twice with the same token, it gets the same answer twice.
//
// All keys of a campaign share one hash tag, so that each script works on one slot of a cluster.
// layout.go lists the keys and fields. Unless a type says otherwise, everything in this package is
// safe for concurrent use.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
)

// Errors that callers distinguish with errors.Is.
var (
	// ErrNotFound means that the campaign does not exist, or that retention has removed it.
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
	rdb     redis.UniversalClient
	scripts *script.Runner
	// The field "accounts" has the sender IDs of accounts. They decide which suppression lists apply
	// to a campaign. The field "optouts" has the numbers on the suppression lists.
	records  recordReader
	accounts *accounts.Store
	optouts  *optout.Lists
	// drawNumber returns random numbers. They are used in the names of batches to which recipients move.
	drawNumber func() uint64
	// thresholdSample and thresholdSpan have the values of the constants ThresholdSample and
	// ThresholdSpan of package campaign. Some tests set smaller values.
	thresholdSample, thresholdSpan int
	// batcher collects the requests for settle_and_claim.lua.
	batcher *script.Batcher[sharedRequest]
	// exclusions joins the callers of ExcludeOpen.
	exclusions *exclusionQueues
}

// New returns a ledger on a Redis client. The caller remains responsible for closing the client.
func New(rdb redis.UniversalClient) *Ledger { return NewDurable(rdb, script.Durability{}) }

// NewDurable returns a ledger with the durability d. The methods for claims, settles and operators'
// orders wait until their change is durable before they return. If the change is not durable in
// time, they return script.ErrNotDurable.
func NewDurable(rdb redis.UniversalClient, d script.Durability) *Ledger {
	scripts := script.NewRunner(rdb, d)
	return &Ledger{rdb: rdb, scripts: scripts, records: recordReader{rdb, scripts}, accounts: accounts.New(scripts), optouts: optout.New(scripts), batcher: newBatcher(scripts), exclusions: &exclusionQueues{lists: map[string]*exclusionQueue{}}, drawNumber: randomNumber, thresholdSample: campaign.ThresholdSample, thresholdSpan: campaign.ThresholdSpan}
}

// Runner returns the Runner of the ledger's scripts. Other stores use it for the same Redis with
// the same durability.
func (l *Ledger) Runner() *script.Runner { return l.scripts }

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,128}$`)

// ValidID reports whether id is a valid campaign id: 1 to 128 characters out of A-Z a-z 0-9 . _ : -
func ValidID(id string) bool { return idPattern.MatchString(id) }

// errorFor returns the error for the first word of a script's answer. It returns nil if the word stands
// for no error.
func errorFor(word string) error {
	switch word {
	case "missing":
		return ErrNotFound
	case "newer":
		return ErrNewer
	}
	return nil
}

// The method "run" runs a script on the campaign that has the given id now. It does not check which
// upload created the campaign. It returns the script's answer as text. If the error is
// script.ErrNotDurable, it returns the answer too.
func (l *Ledger) run(ctx context.Context, s *script.Script, id string, keys []string, args ...any) ([]string, error) {
	return l.runOn(ctx, s, id, "", keys, args...)
}

// runOn does the same as the method "run", for a caller that has read the campaign before. The parameter
// "upload" is the token of the campaign's upload. If another campaign has taken the id meanwhile, runOn
// changes nothing and returns ErrNotFound. If "upload" is empty, runOn accepts any campaign with the id. A
// message that has only an archive gets its full form for the script, and is archived again afterwards.
func (l *Ledger) runOn(ctx context.Context, s *script.Script, id, upload string, keys []string, args ...any) ([]string, error) {
	all := append([]string{ledgerKey(id), openKey(id)}, keys...)
	restored := false
	for try := 1; ; try++ {
		out, err := l.scripts.Run(ctx, s, all, append(slices.Clip(args), upload)...)
		if out, err = checkAnswer(s, id, args, out, err); !errors.Is(err, ErrNotFound) || try == restoreTries {
			if restored {
				archiveAgain(ctx, l, id)
			}
			return out, err
		}
		again, failed := restore(ctx, l, id, upload)
		if failed != nil {
			return out, fmt.Errorf("%s %s: %w", s.Name(), id, failed)
		}
		if !again {
			return out, err
		}
		restored = true
	}
}

// checkAnswer returns the answer of a script that ran on a campaign, or the error for this answer.
func checkAnswer(s *script.Script, id string, args []any, out []string, err error) ([]string, error) {
	err = scriptFault(id, s.Name(), args, err)
	if len(out) > 0 {
		// If the answer is "missing" or "newer", the error for it replaces script.ErrNotDurable, because
		// nothing was changed.
		if v := errorFor(out[0]); v != nil {
			err = v
		}
	}
	if err != nil {
		return out, fmt.Errorf("%s %s: %w", s.Name(), id, err)
	}
	return out, nil
}
