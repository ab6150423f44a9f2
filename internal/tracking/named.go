package tracking

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// Some gateways take the URL of the callback from each call. This URL contains the name of the call. So reports about
// the call's messages need no index. The name is not a secret, so Tuma does not trust it: Tuma applies a report only if
// the message ID of the report is equal to the recipient's message ID in the ledger.

// CallName names a call in the URL of its callback: campaign:upload/batch.call.
func CallName(c ledger.SentCall) string {
	return c.Campaign + ":" + c.Upload + "/" + c.Name + "." + strconv.Itoa(c.Call)
}

// parseCallName reads what CallName wrote.
func parseCallName(name string) (ref ledger.BatchRef, call int, ok bool) {
	const longest = 512
	campaign, rest, ok := strings.Cut(name, "/")
	at, dot := strings.LastIndexByte(campaign, ':'), strings.LastIndexByte(rest, '.')
	if !ok || at <= 0 || dot <= 0 || len(name) > longest {
		return ref, 0, false
	}
	call, err := strconv.Atoi(rest[dot+1:])
	return ledger.BatchRef{Campaign: campaign[:at], Upload: campaign[at+1:], Name: rest[:dot]}, call, err == nil && call >= 0
}

// The method "places" returns, for each report, the places where its message may be. If reports[i] names a call that
// does not exist, the method sets results[i] to Unmatched.
func (t *Tracker) places(ctx context.Context, reports []Report, results []Result) ([][]Place, error) {
	var ids []string
	var at []int // for each ID, the position of its report
	out := make([][]Place, len(reports))
	for i, r := range reports {
		if r.Call == "" {
			ids, at = append(ids, r.MessageID), append(at, i)
			continue
		}
		place, exists, err := t.named(ctx, r)
		switch {
		case err != nil:
			return nil, err
		case !exists:
			results[i] = Unmatched
		case place.Name != "":
			out[i] = []Place{place}
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	found, err := t.index.Find(ctx, t.login, ids)
	if err != nil {
		return nil, err
	}
	for i, places := range found {
		out[at[i]] = places
	}
	return out, nil
}

// named returns the place of a message in the call that its report names. The place is zero if the message is not in
// the call, or if the call is not settled yet. The result "exists" is false if the call does not exist.
func (t *Tracker) named(ctx context.Context, r Report) (place Place, exists bool, err error) {
	ref, call, ok := parseCallName(r.Call)
	if !ok {
		return place, false, nil
	}
	b, err := t.batches.get(ctx, t.reports, ref)
	if err != nil || b == nil {
		return place, false, err
	}
	records, err := t.reports.Records(ctx, ref.Campaign, b, call)
	if ledger.AsUnreadable(err) != nil || errors.Is(err, campaign.ErrRecord) {
		return place, false, nil //nolint:nilerr // the worker that loads an unreadable record quarantines it
	}
	if err != nil {
		return place, false, err
	}
	first := 0
	for _, n := range b.Calls[:call] {
		first += n
	}
	for i, rec := range records {
		if rec.MessageID == r.MessageID {
			return Place{ref, first + i}, true, nil
		}
	}
	return place, true, nil
}
