package producer

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/script"
)

// The public constants are literals, so that "go doc" shows their values. Each literal must be
// equal to the ledger's constant.
func TestConstants_AreTheLedgers(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{
		"Marketing":           string(Marketing) == string(campaign.Marketing),
		"Transactional":       string(Transactional) == string(campaign.Transactional),
		"OnUnknownKeep":       OnUnknownKeep == campaign.KeepUnknown,
		"OnUnknownResend":     OnUnknownResend == campaign.ResendUnknown,
		"OnMissingFail":       OnMissingFail == campaign.MissingFail,
		"OnMissingSkip":       OnMissingSkip == campaign.MissingSkip,
		"OnMissingDefault":    OnMissingDefault == campaign.MissingDefault,
		"OriginHand":          OriginHand == optout.OriginHand,
		"OriginImport":        OriginImport == optout.OriginImport,
		"OriginKeyword":       OriginKeyword == optout.OriginKeyword,
		"DefaultMaxRejected":  DefaultMaxRejected == campaign.DefaultMaxRejected,
		"ThresholdSample":     ThresholdSample == campaign.ThresholdSample,
		"ThresholdSpan":       ThresholdSpan == campaign.ThresholdSpan,
		"Uploading":           string(Uploading) == string(campaign.Uploading),
		"Scheduled":           string(Scheduled) == string(campaign.Scheduled),
		"Planning":            string(Planning) == string(campaign.Planning),
		"Sending":             string(Sending) == string(campaign.Sending),
		"Paused":              string(Paused) == string(campaign.Paused),
		"Cancelled":           string(Cancelled) == string(campaign.Cancelled),
		"Done":                string(Done) == string(campaign.Done),
		"Durability.Replicas": script.Durability(Durability{Fsync: true, Replicas: 2}) == script.Durability{Fsync: true, Replicas: 2},
	} {
		if !same {
			t.Errorf("%s differs from the ledger's constant", name)
		}
	}
}
