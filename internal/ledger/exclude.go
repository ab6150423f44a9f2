package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/sms"
)

// everybody stands for numbers where a campaign is told of too many to name: whoever is
// on the list.
const wholeList = "*"

// Exclusions are the opt-outs that a campaign has been told of, as far as they have been
// read. The zero value has read nothing. Safe for concurrent use.
type Exclusions struct {
	mu      sync.RWMutex
	version string
	numbers map[sms.MSISDN]string // by list
	lists   []string              // of which everybody is meant
}

// In finds those of a generation's recipients, by their places in To, who must not be sent
// to, each with its list, and names the version by which they are all that must not. lists
// are those of which everybody is meant: who is on them has to be asked for.
func (x *Exclusions) In(to []Planned) (optedOut map[int]string, version string, lists []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.numbers) > 0 {
		for i, p := range to {
			if list, ok := x.numbers[p.MSISDN]; ok {
				if optedOut == nil {
					optedOut = map[int]string{}
				}
				optedOut[i] = list
			}
		}
	}
	return optedOut, x.version, x.lists
}

// versionParts are the number and the token of a version.
func versionParts(version string) (n int, token string) {
	number, token, _ := strings.Cut(version, " ")
	return fieldInt(number), token
}

// ReadExclusions reads what has been told to a campaign since it was last read. Where
// Redis has forgotten something of that, it reads everything.
func (l *Ledger) ReadExclusions(ctx context.Context, id string, x *Exclusions) error {
	version, err := l.rdb.HGet(ctx, ledgerKey(id), "ex").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("opt-outs of %s: %w", id, err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if version == x.version {
		return nil
	}
	known, token := versionParts(x.version)
	last, _ := versionParts(version)
	fresh := Exclusions{version: version, numbers: map[sms.MSISDN]string{}}
	if known > 0 && known < last {
		whole, err := l.readExclusions(ctx, id, known, last, token, x.numbers, &x.lists)
		if err != nil {
			return err
		}
		if whole {
			x.version = version
			return nil
		}
	}
	if _, err := l.readExclusions(ctx, id, 1, last, "", fresh.numbers, &fresh.lists); err != nil {
		return err
	}
	x.version, x.numbers, x.lists = fresh.version, fresh.numbers, fresh.lists
	return nil
}

// readExclusions adds what a campaign was told from one number to another. It adds nothing
// and says false if the first was told under another token than that, unless it is empty.
func (l *Ledger) readExclusions(ctx context.Context, id string, from, to int, token string, numbers map[sms.MSISDN]string, lists *[]string) (bool, error) {
	const step = 500
	for at := from; at <= to; at += step {
		var fields []string
		for n := at; n <= min(to, at+step-1); n++ {
			fields = append(fields, "e"+strconv.Itoa(n))
		}
		got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
		if err != nil {
			return false, fmt.Errorf("opt-outs of %s: %w", id, err)
		}
		for i, v := range got {
			parts := strings.SplitN(fieldString(v), "\n", 3)
			if at == from && i == 0 && token != "" && parts[0] != token {
				return false, nil
			}
			if len(parts) < 3 {
				return false, unreadable(id, fields[i], fieldString(v), errRecord)
			}
			if parts[2] == wholeList {
				if !slices.Contains(*lists, parts[1]) {
					*lists = append(slices.Clone(*lists), parts[1])
				}
				continue
			}
			for word := range strings.FieldsSeq(parts[2]) {
				m, err := strconv.ParseUint(word, 10, 64)
				if err != nil {
					return false, unreadable(id, fields[i], fieldString(v), errRecord)
				}
				numbers[sms.MSISDN(m)] = parts[1]
			}
		}
	}
	return true, nil
}

// mostNamed is how many numbers a campaign is told of by name at once.
const maxNamed = 1000

// Exclude tells a campaign of numbers that have come to a list; nil: of everybody on it.
// From when it returns, a call to them is only claimed if an earlier submission of it may
// have been taken. It returns what is in flight of the campaign. A campaign that is over, or not
// there, needs no telling.
func (l *Ledger) Exclude(ctx context.Context, id, list string, numbers []sms.MSISDN) (InFlight, error) {
	text := wholeList
	if numbers != nil && len(numbers) <= maxNamed {
		b := make([]byte, 0, 14*len(numbers))
		for _, m := range numbers {
			b = append(m.AppendTo(b), ' ')
		}
		text = string(b)
	}
	out, err := l.run(ctx, excludeScript, id, nil, NewToken(), list, text)
	if errors.Is(err, ErrNotFound) || err == nil && out[0] == "over" {
		return InFlight{}, nil
	}
	if err != nil {
		return InFlight{}, err
	}
	if len(out) < 3 {
		return InFlight{}, errAnswer
	}
	return InFlight{Calls: fieldInt(out[1]), Recipients: fieldInt(out[2])}, nil
}

// ErrCanary: the campaign's canary has not ended, and this waits for that.
var ErrCanary = errors.New("it waits for the canary to end")

// Narrow takes recipients, by their places in To, each with its list, out of a generation
// that is ready. Stale: it has changed since it was read, and nothing happened; nor has it
// with an ErrCanary.
func (l *Ledger) Narrow(ctx context.Context, id, token, batch string, g *Generation, optedOut map[int]string, openBatchLimit int) (Settled, error) {
	var positions, blob []byte
	for i := range g.To {
		list, ok := optedOut[i]
		if !ok {
			continue
		}
		positions = binary.BigEndian.AppendUint16(positions, g.position(i))
		blob = appendRecord(blob, Record{Status: Skipped, Generation: g.Number, Reason: ReasonOptedOut, Code: ListCode(list)})
	}
	out, err := l.run(ctx, narrowScript, id, nil, token, batch, g.Call, g.Number, g.Revision, g.CallSize, openBatchLimit, positions, blob)
	if err != nil {
		return Settled{}, err
	}
	if out[0] == "canary" {
		return Settled{}, fmt.Errorf("narrow %s %s: %w", id, batch, ErrCanary)
	}
	if out[0] != "narrowed" {
		return Settled{Stale: true}, nil
	}
	wakes, done, err := answerWakes(out)
	return Settled{Wakes: wakes, Done: done}, err
}
