package campaign

// DefaultMaxRejected is the failure threshold, in percent, of a campaign that has a canary and does
// not set a threshold.
const DefaultMaxRejected = 10

const (
	// ThresholdSample is how many messages must have finished before the threshold is checked.
	// Fewer messages say too little about the campaign. The check at the end of the canary does
	// not need this number of messages.
	ThresholdSample = 100
	// ThresholdSpan is the number of finished messages at which the count restarts, if the
	// threshold was not exceeded. The restart ensures that a million accepted messages do not
	// hide later failures.
	ThresholdSpan = 10_000
)

// PausedTooMany is the value of Summary.PausedBy for a campaign that exceeded its failure
// threshold.
const PausedTooMany = "too_many_rejected"

// PausedByGateway is the first part of Summary.PausedBy when a gateway has refused the campaign.
// The code of the gateway follows. If the gateway gave no code, the cause follows.
const PausedByGateway = "gateway:"

// TooManyRejected describes why a campaign was paused for its failure threshold. Ended is the
// number of finished messages. Bad is how many of these were rejected or unknown.
type TooManyRejected struct {
	Bad   int `json:"rejected_or_unknown"`
	Ended int `json:"ended"`
	// Canary means that Ended counts the messages of the canary. Otherwise Ended counts the
	// messages since the count last restarted. The count starts with the campaign. It restarts
	// at a resume after a pause for the failure threshold, and after ThresholdSpan messages
	// within the threshold.
	Canary bool `json:"canary,omitempty"`
}

// FailureThreshold returns the maximum percentage of finished messages that may be rejected or
// unknown; 0 disables it.
func (s Spec) FailureThreshold() float64 {
	if s.MaxRejected == 0 && s.Canary > 0 {
		return DefaultMaxRejected
	}
	return s.MaxRejected
}
