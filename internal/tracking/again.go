package tracking

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// unindexedKey is the set of the calls of a login whose message IDs are not in the index, because
// Redis refused them. Each is 'call total campaign batch upload'.
func unindexedKey(login string) string { return segmentsKey(login) + ":a" }

const (
	// maxUnindexed is the maximum number of calls in the set unindexedKey.
	maxUnindexed = 10_000
	// againAtOnce is the maximum number of calls that one IndexAgain enters in the index.
	againAtOnce = 200
)

// unindexed is a call whose message IDs are not in the index. total is the number of the campaign's
// recipients.
type unindexed struct {
	ledger.BatchRef
	call, total int
}

func (u unindexed) String() string {
	return strconv.Itoa(u.call) + " " + strconv.Itoa(u.total) + " " + member(u.BatchRef)
}

// parseUnindexed reads what String wrote.
func parseUnindexed(text string) (u unindexed, ok bool) {
	words := strings.SplitN(text, " ", 3)
	if len(words) != 3 {
		return u, false
	}
	var err1, err2 error
	u.call, err1 = strconv.Atoi(words[0])
	u.total, err2 = strconv.Atoi(words[1])
	u.BatchRef, ok = parseMember(words[2])
	return u, ok && err1 == nil && err2 == nil
}

// noteUnindexed stores that the message IDs of a call are not in the index, so that IndexAgain enters
// them.
func (t *Tracker) noteUnindexed(ctx context.Context, u unindexed) error {
	n, err := t.rdb.SCard(ctx, unindexedKey(t.login)).Result()
	if err == nil && n >= maxUnindexed {
		err = fmt.Errorf("there are %d already", n)
	}
	if err == nil {
		err = t.rdb.SAdd(ctx, unindexedKey(t.login), u.String()).Err()
	}
	if err != nil {
		return fmt.Errorf("note a call whose message ids are not indexed: %w", err)
	}
	return nil
}

// IndexAgain enters the message IDs of calls that Redis refused to index when they were settled. It
// returns how many calls it has completed. Running it again, or in several processes, is safe.
func (t *Tracker) IndexAgain(ctx context.Context) (int, error) {
	list, err := t.rdb.SRandMemberN(ctx, unindexedKey(t.login), againAtOnce).Result()
	if err != nil {
		return 0, fmt.Errorf("index message ids again: %w", err)
	}
	done := 0
	for _, text := range list {
		u, ok := parseUnindexed(text)
		settled := !ok
		if ok {
			if settled, err = t.indexCall(ctx, u); err != nil {
				return done, fmt.Errorf("index message ids again: %w", err)
			}
		}
		if !settled {
			continue
		}
		if err := t.rdb.SRem(ctx, unindexedKey(t.login), text).Err(); err != nil {
			return done, fmt.Errorf("index message ids again: %w", err)
		}
		done++
	}
	return done, nil
}

// indexCall enters the message IDs that the ledger has for a call. settled is false if the call must be
// entered again later, because recipients are pending.
func (t *Tracker) indexCall(ctx context.Context, u unindexed) (settled bool, err error) {
	b, err := t.batches.get(ctx, t.reports, u.BatchRef)
	if err != nil || b == nil || u.call < 0 || u.call >= len(b.Calls) {
		return err == nil, err
	}
	records, err := t.reports.Records(ctx, u.Campaign, b, u.call)
	if ledger.AsUnreadable(err) != nil {
		return true, nil //nolint:nilerr // the worker that loads the batch quarantines the record
	}
	if err != nil {
		return false, err
	}
	first := 0
	for _, n := range b.Calls[:u.call] {
		first += n
	}
	s := Sent{BatchRef: u.BatchRef, BatchSize: len(b.To), Total: u.total}
	settled = true
	for i, r := range records {
		if r.Status == campaign.Pending {
			settled = false
			continue
		}
		for _, id := range append([]string{r.MessageID}, r.Resent...) {
			s.IDs, s.Positions = append(s.IDs, id), append(s.Positions, first+i)
		}
	}
	_, err = t.index.Note(ctx, t.login, s, t.life)
	return settled && err == nil, err
}
