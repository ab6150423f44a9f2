package sweep

// Meter counts what the sweeper finds. Its methods return at once.
type Meter interface {
	// Repaired counts a repair of the given kind, one of Repairs.
	Repaired(kind string)
	// Breached counts a campaign whose counts contradict each other or the results of the
	// recipients.
	Breached()
	// Skipped counts recipients that ended as skipped. The recipients belong to the given account,
	// which is at the given provider.
	Skipped(account, provider string, n int)
}

// Kinds of repairs.
const (
	RepairWake       = "wake"       // work was queued again, because its task was lost or its worker is gone
	RepairRetry      = "retry"      // a retry was continued, because its caller had stopped
	RepairFailover   = "failover"   // work was moved away from an account that had been held for long
	RepairWriteOff   = "write_off"  // a stopped campaign was ended, although records of its calls are unreadable
	RepairQuarantine = "quarantine" // a campaign was set aside, because its record is unreadable
)

// Repairs are all kinds of repairs.
var Repairs = []string{RepairWake, RepairRetry, RepairFailover, RepairWriteOff, RepairQuarantine}
