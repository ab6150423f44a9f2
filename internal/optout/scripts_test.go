package optout

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/script/scripttest"
)

func TestScriptsNameTheirArgumentsAsGoDoes(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"add":    {changeArgs{}},
		"remove": {changeArgs{}},
		"origin": {originArgs{}},
	})
}
