package producer

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// The public constants are literals, so that "go doc" shows their values. Each must be equal to the
// ledger's constant.
func TestConstants_AreTheLedgers(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{
		"Marketing":           string(Marketing) == string(ledger.Marketing),
		"Transactional":       string(Transactional) == string(ledger.Transactional),
		"OnUnknownKeep":       OnUnknownKeep == ledger.KeepUnknown,
		"OnUnknownResend":     OnUnknownResend == ledger.ResendUnknown,
		"OnMissingFail":       OnMissingFail == ledger.MissingFail,
		"OnMissingSkip":       OnMissingSkip == ledger.MissingSkip,
		"OnMissingDefault":    OnMissingDefault == ledger.MissingDefault,
		"OriginHand":          OriginHand == ledger.OriginHand,
		"OriginImport":        OriginImport == ledger.OriginImport,
		"OriginKeyword":       OriginKeyword == ledger.OriginKeyword,
		"DefaultMaxRejected":  DefaultMaxRejected == ledger.DefaultMaxRejected,
		"ThresholdSample":     ThresholdSample == ledger.ThresholdSample,
		"ThresholdSpan":       ThresholdSpan == ledger.ThresholdSpan,
		"Uploading":           string(Uploading) == string(ledger.Uploading),
		"Scheduled":           string(Scheduled) == string(ledger.Scheduled),
		"Planning":            string(Planning) == string(ledger.Planning),
		"Sending":             string(Sending) == string(ledger.Sending),
		"Paused":              string(Paused) == string(ledger.Paused),
		"Cancelled":           string(Cancelled) == string(ledger.Cancelled),
		"Done":                string(Done) == string(ledger.Done),
		"Durability.Replicas": ledger.Durability(Durability{Fsync: true, Replicas: 2}) == ledger.Durability{Fsync: true, Replicas: 2},
	} {
		if !same {
			t.Errorf("%s differs from the ledger's constant", name)
		}
	}
}
