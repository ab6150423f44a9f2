package optout

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/script/scripttest"
)

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"add":    {changeArgs{}},
		"remove": {changeArgs{}},
		"origin": {originArgs{}},
	})
}

func TestScriptsHaveAGoFileOfTheirName(t *testing.T) {
	t.Parallel()
	scripttest.SameNames(t, luaFiles)
}
