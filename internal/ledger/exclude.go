package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// wholeList in an entry stands for every number on a suppression list. Exclude stores it instead of
// phone numbers if it gets more than maxNamed numbers, or nil.
const wholeList = "*"

// Exclusions holds the opt-outs of a campaign that the method Read has read so far. The zero value
// holds none. An Exclusions is safe for concurrent use.
type Exclusions struct {
	mu      sync.RWMutex
	version string
	numbers map[sms.MSISDN]string // numbers that have opted out, each with its suppression list
	lists   []string              // suppression lists that an opt-out of the campaign names as a whole (wholeList)
}

// In finds the recipients that have opted out. The result optedOut maps their indexes to their
// suppression lists. The result version is the version of the opt-outs that the method has used. The
// result "lists" has the suppression lists that an opt-out names as a whole (wholeList). The method
// does not know the numbers on these lists, so the caller must look up all recipients there.
func (x *Exclusions) In(recipients []campaign.Planned) (optedOut map[int]string, version string, lists []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.numbers) > 0 {
		for i, p := range recipients {
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

// versionParts splits a version into its number and its token.
func versionParts(version string) (n int, token string) {
	number, token, _ := strings.Cut(version, " ")
	return script.Int(number), token
}

// Read adds the opt-outs that the campaign has received since the last Read. If Redis has lost some
// of the opt-outs, Read reads all of them again.
func (x *Exclusions) Read(ctx context.Context, l *Ledger, id string) error {
	version, err := l.rdb.HGet(ctx, ledgerKey(id), fieldExclusions).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read opt-outs of %s: %w", id, err)
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
		whole, err := l.records.readExclusions(ctx, id, known, last, token, x.numbers, &x.lists)
		if err != nil {
			return err
		}
		if whole {
			x.version = version
			return nil
		}
	}
	if _, err := l.records.readExclusions(ctx, id, 1, last, "", fresh.numbers, &fresh.lists); err != nil {
		return err
	}
	x.version, x.numbers, x.lists = fresh.version, fresh.numbers, fresh.lists
	return nil
}

// readExclusions reads the entries "first" to "last" of a campaign's opt-outs, and adds their content
// to the parameters numbers and lists. If the parameter token is not empty and the first entry has
// another token, readExclusions adds nothing and returns false.
func (l recordReader) readExclusions(ctx context.Context, id string, first, last int, token string, numbers map[sms.MSISDN]string, lists *[]string) (bool, error) {
	const step = 500
	for at := first; at <= last; at += step {
		var fields []string
		for n := at; n <= min(last, at+step-1); n++ {
			fields = append(fields, exclusionField(n))
		}
		got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
		if err != nil {
			return false, fmt.Errorf("read opt-outs of %s: %w", id, err)
		}
		for i, v := range got {
			parts := strings.SplitN(script.Text(v), "\n", 3)
			if at == first && i == 0 && token != "" && parts[0] != token {
				return false, nil
			}
			if len(parts) < 3 {
				return false, unreadable(id, fields[i], script.Text(v), campaign.ErrRecord)
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
					return false, unreadable(id, fields[i], script.Text(v), campaign.ErrRecord)
				}
				numbers[sms.MSISDN(m)] = parts[1]
			}
		}
	}
	return true, nil
}

// maxNamed is the maximum number of phone numbers in one entry of a campaign's opt-outs.
const maxNamed = 1000

// Exclude passes the numbers that were added to a suppression list to one campaign. nil numbers mean
// every number on the list. After Exclude has returned, a worker claims a call to one of the numbers
// only if an earlier submission of that call may have reached the gateway. Exclude returns how many
// calls and recipients of the campaign are in flight. If the campaign has ended or does not exist,
// Exclude does nothing.
func (l *Ledger) Exclude(ctx context.Context, id, list string, numbers []sms.MSISDN) (InFlight, error) {
	text := wholeList
	if numbers != nil && len(numbers) <= maxNamed {
		text = numbersArg(numbers)
	}
	out, err := l.run(ctx, excludeScript, id, nil, script.Args(excludeArgs{Token: script.NewToken(), List: list, Numbers: text})...)
	if errors.Is(err, ErrNotFound) || err == nil && out[0] == "over" {
		return InFlight{}, nil
	}
	if err != nil {
		return InFlight{}, err
	}
	if len(out) < 3 {
		return InFlight{}, script.ErrAnswer
	}
	return InFlight{Calls: script.Int(out[1]), Recipients: script.Int(out[2])}, nil
}

// numbersArg returns the numbers, each with a space after it.
func numbersArg(numbers []sms.MSISDN) string {
	b := make([]byte, 0, 14*len(numbers))
	for _, m := range numbers {
		b = append(m.AppendTo(b), ' ')
	}
	return string(b)
}

// excludeArgs are the arguments of exclude.lua.
type excludeArgs struct {
	Token, List, Numbers string
}
