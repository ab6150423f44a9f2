package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// encodeSendingHours encodes sending hours as "KE 08:00-18:00 NG 08:00-20:00".
func encodeSendingHours(hours []campaign.CountryHours) string {
	var words []string
	for _, h := range hours {
		words = append(words, h.Country, h.Hours)
	}
	return strings.Join(words, " ")
}

func decodeSendingHours(s string) (out []campaign.CountryHours, err error) {
	words := strings.Fields(s)
	if len(words)%2 != 0 {
		return nil, fmt.Errorf("decode sending hours: %w", campaign.ErrRecord)
	}
	for w := range slices.Chunk(words, 2) {
		out = append(out, campaign.CountryHours{Country: w[0], Hours: w[1]})
	}
	return out, nil
}

func encodeSnapshot(f campaign.PlanSnapshot) ([]byte, error) {
	f.Accounts = slices.Clone(f.Accounts)
	for i, a := range f.Accounts {
		if a.BatchSize == a.MaxRecipients {
			f.Accounts[i].BatchSize = 0 // 0 stands for MaxRecipients; it keeps the record of a one-message campaign short
		}
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode planning snapshot: %w", err)
	}
	return b, nil
}

func decodeSnapshot(s, hours string) (campaign.PlanSnapshot, error) {
	var f campaign.PlanSnapshot
	err := json.Unmarshal([]byte(s), &f)
	if err == nil {
		f.SendingHours, err = decodeSendingHours(hours)
	}
	if err != nil {
		return f, fmt.Errorf("decode planning snapshot: %w", err)
	}
	for i, a := range f.Accounts {
		if a.BatchSize == 0 {
			f.Accounts[i].BatchSize = a.MaxRecipients
		}
	}
	return f, nil
}

// Snapshot reads the planning snapshot of a campaign, and the number of its recipients. Before
// planning begins, the result is the zero snapshot.
func (l *Ledger) Snapshot(ctx context.Context, id string) (campaign.PlanSnapshot, int, error) {
	got, err := l.records.fields(ctx, id, fieldSnapshot, fieldTotal, fieldSendingHours)
	if err != nil {
		return campaign.PlanSnapshot{}, 0, fmt.Errorf("read campaign %s: %w", id, err)
	}
	if got[0] == nil {
		return campaign.PlanSnapshot{}, script.Int(got[1]), nil
	}
	f, err := decodeSnapshot(script.Text(got[0]), script.Text(got[2]))
	if err != nil {
		return f, 0, unreadable(id, fieldSnapshot, script.Text(got[0]), err)
	}
	return f, script.Int(got[1]), nil
}
