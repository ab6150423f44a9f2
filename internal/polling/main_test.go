package polling

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childRedis) != "" {
		runChild()
		return
	}
	goleak.VerifyTestMain(providertest.Guarded(m))
}
