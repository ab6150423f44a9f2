// Package moment reads the times that people write on a command line: "tomorrow 08:00", "in 2h" or RFC
// 3339. It reads no clock, because the caller passes the current time and the time zone. A text that
// could mean two times is an error, and the error names a correct form.
package moment
