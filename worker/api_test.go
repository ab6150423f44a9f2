package worker

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// Package worker repeats the values of some constants of package campaign, so that the documentation of
// package worker shows the values. Both packages must give such a constant the same value.
func TestConstants_EqualTheLedgers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		UnitMessages: campaign.UnitMessages, UnitSegments: campaign.UnitSegments, UnitRequests: campaign.UnitRequests,
		OnUnknownKeep: campaign.KeepUnknown, OnUnknownResend: campaign.ResendUnknown,
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestParse_DurabilityAndHours(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Durability{"none": {}, "fsync": {Fsync: true}, "replicas:2": {Replicas: 2}} {
		if got, err := ParseDurability(text); got != want || err != nil || got.String() != text {
			t.Errorf("ParseDurability(%q): got %+v, %v, want %+v", text, got, err, want)
		}
	}
	if got, err := ParseDurability("disk"); err == nil {
		t.Errorf("ParseDurability(disk): got %+v, want an error", got)
	}
	if got, err := ParseHours("08:00-18:00"); err != nil || got.String() != "08:00-18:00" {
		t.Errorf("ParseHours(08:00-18:00): got %s, %v, want the same hours", got, err)
	}
	if got, err := ParseHours("08:00"); err == nil {
		t.Errorf("ParseHours(08:00): got %s, want an error", got)
	}
}
