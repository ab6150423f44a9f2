package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

const (
	// mixedCosts tells settle.lua to read the costs from the records.
	mixedCosts = "*"
	// maxWhole and maxPart are the maximum numbers of digits before and after the decimal point of a
	// cost. With these limits a sum of costs is exact in Lua.
	maxWhole, maxPart = 9, 6
	// costFits limits the sum of the lengths of a record's texts, in bytes. Up to this limit, the stored record has
	// every text in full. Above it, the stored record may lack a part of the cost.
	costFits = 200
)

// costOf returns the cost of a record in millionths of its currency. The result "ok" is false if the
// record has no cost, or a cost that Tuma does not count. The function cost_of in settle.lua makes
// the same test.
func costOf(r campaign.Record) (amount int64, ok bool) {
	whole, part, _ := strings.Cut(r.Cost, ".")
	if whole == "" || len(whole) > maxWhole || len(part) > maxPart || strings.Trim(whole+part, "0123456789") != "" || len(r.Currency) != 3 ||
		strings.Trim(r.Currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return 0, false
	}
	amount, err := strconv.ParseInt(whole+part+strings.Repeat("0", maxPart-len(part)), 10, 64)
	return amount, err == nil
}

// costArg returns the sum of the costs of accepted messages, as settle.lua reads it.
func costArg(records []campaign.Record) string {
	currency, sum := "", int64(0)
	for _, r := range records {
		if r.Status < campaign.Accepted || r.Cost == "" {
			continue
		}
		amount, ok := costOf(r)
		if len(r.MessageID)+len(r.Reason)+len(r.Code)+len(r.Cost)+len(r.Currency) > costFits || ok && currency != "" && r.Currency != currency {
			return mixedCosts
		}
		if ok {
			currency, sum = r.Currency, sum+amount
		}
	}
	if sum == 0 {
		return ""
	}
	return currency + ":" + strconv.FormatInt(sum, 10)
}

// Usage returns what a campaign has sent through each of its accounts so far. The numbers of one
// campaign never decrease, unless Redis loses data. A delivery report does not change them. The
// parameter "sum" is a summary that the caller has read before.
func Usage(ctx context.Context, l *Ledger, sum Summary) ([]campaign.Usage, error) {
	streams := 1
	if len(sum.Accounts) > 1 {
		streams = len(sum.Accounts) * (1 + len(sum.SendingHours))
	}
	base := []string{fieldAccepted, fieldDelivered, fieldUndelivered, fieldSegments, fieldCost, fieldCurrency}
	names := append([]string{fieldUpload, fieldStreams}, base...)
	for a := range streams {
		for _, f := range base {
			names = append(names, countField(f, a))
		}
	}
	got, err := l.records.fields(ctx, sum.ID, names...)
	if err != nil {
		return nil, fmt.Errorf("read usage of %s: %w", sum.ID, err)
	}
	if script.Text(got[0]) != sum.Upload {
		return nil, fmt.Errorf("read usage of %s: %w", sum.ID, ErrNotFound) // the campaign was removed, or another campaign has replaced it
	}
	read := func(v []any) campaign.Usage {
		return campaign.Usage{Messages: script.Int(v[0]) + script.Int(v[1]) + script.Int(v[2]), Segments: script.Int(v[3]), Cost: int64(script.Int(v[4])), Currency: script.Text(v[5])}
	}
	all, rest := read(got[2:]), got[2+len(base):]
	if len(sum.Accounts) < 2 {
		all.Account = sum.Spec.Via
		if len(sum.Accounts) == 1 {
			all.Account = sum.Accounts[0]
		}
		return []campaign.Usage{all}, nil
	}
	out := make([]campaign.Usage, len(sum.Accounts))
	for a := range streams {
		x := &out[a%len(out)]
		one := read(rest[a*len(base):])
		x.Account = sum.Accounts[a%len(out)]
		x.Messages += one.Messages
		x.Segments += one.Segments
		if one.Currency != "" && (x.Currency == "" || x.Currency == one.Currency) {
			x.Cost, x.Currency = x.Cost+one.Cost, one.Currency
		}
	}
	return out, nil
}
