// Package rfc3339 reads and writes times as RFC 3339 has them.
package rfc3339

import "strconv"

// Parse reads a time that is as long as a Unix time in seconds and nanoseconds. It takes what package time takes for
// RFC 3339: beside the standard's, an hour of one digit, a comma before the fraction, and an offset of up to 24:60. The
// nanoseconds' own fraction is dropped.
func Parse(s string) (seconds, nanoseconds int64, ok bool) {
	p := parser{s: s, ok: true}
	year := p.number(4, 0, 9999)
	p.skip("-")
	month := p.number(2, 1, 12)
	p.skip("-")
	day := p.number(2, 1, 31)
	p.skip("T")
	digits := 2
	if len(p.s) > 1 && p.s[1] == ':' {
		digits = 1
	}
	hour := p.number(digits, 0, 23)
	p.skip(":")
	minute := p.number(2, 0, 59)
	p.skip(":")
	second := p.number(2, 0, 59)
	nanoseconds = p.fraction()
	offset := p.offset()
	if !p.ok || p.s != "" || day > daysIn(year, month) {
		return 0, 0, false
	}
	return ((days(year, month, day)*24+hour)*60+minute)*60 + second - offset, nanoseconds, true
}

// parser reads from the front of s until something is wrong.
type parser struct {
	s  string
	ok bool
}

func (p *parser) skip(want string) {
	if p.ok = p.ok && p.s != "" && p.s[:1] == want; p.ok {
		p.s = p.s[1:]
	}
}

// number reads a number of so many digits.
func (p *parser) number(digits int, low, high int64) (n int64) {
	if p.ok = p.ok && len(p.s) >= digits; !p.ok {
		return 0
	}
	for i := range digits {
		c := p.s[i]
		p.ok = p.ok && '0' <= c && c <= '9'
		n = n*10 + int64(c-'0')
	}
	p.s = p.s[digits:]
	p.ok = p.ok && low <= n && n <= high
	return n
}

// fraction reads the fraction of a second, if there is one, in nanoseconds.
func (p *parser) fraction() (n int64) {
	if !p.ok || len(p.s) < 2 || p.s[0] != '.' && p.s[0] != ',' || p.s[1] < '0' || p.s[1] > '9' {
		return 0
	}
	i, unit := 1, int64(1e8)
	for ; i < len(p.s) && '0' <= p.s[i] && p.s[i] <= '9'; i++ {
		n, unit = n+unit*int64(p.s[i]-'0'), unit/10
	}
	p.s = p.s[i:]
	return n
}

// offset reads the distance to UTC in seconds.
func (p *parser) offset() int64 {
	if p.s == "Z" || p.s == "" {
		p.skip("Z")
		return 0
	}
	sign := int64(1)
	if p.s[0] == '-' {
		sign = -1
		p.skip("-")
	} else {
		p.skip("+")
	}
	hour := p.number(2, 0, 24)
	p.skip(":")
	return sign * (hour*60 + p.number(2, 0, 60)) * 60
}

func isLeap(year int64) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(year, month int64) int64 {
	switch {
	case month == 2 && isLeap(year):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// fourHundredYears is the number of days after which the calendar starts anew.
const fourHundredYears = 400*365 + 97

// days counts the days from 1970-01-01 to a date of the Gregorian calendar, in years that start in March, so that a
// leap day comes last.
func days(year, month, day int64) int64 {
	if month -= 3; month < 0 {
		month, year = month+12, year-1
	}
	year += 400 // no date is before 0000-03-01 then
	return year*365 + year/4 - year/100 + year/400 + (month*153+2)/5 + day - 1 - fourHundredYears - 719468
}

// Format writes a Unix time in seconds, in UTC. It is for the years 0 to 9999.
func Format(seconds int64) string {
	n := seconds/(24*3600) + 719468 + fourHundredYears // days since -0400-03-01
	rest := seconds % (24 * 3600)
	if rest < 0 {
		n, rest = n-1, rest+24*3600
	}
	cycle := n / fourHundredYears
	n %= fourHundredYears
	year := (n - n/1460 + n/36524 - n/(fourHundredYears-1)) / 365
	n -= year*365 + year/4 - year/100
	month := (n*5 + 2) / 153
	day := n - (month*153+2)/5 + 1
	year += cycle*400 - 400
	if month += 3; month > 12 {
		month, year = month-12, year+1
	}
	b := make([]byte, 0, len("2006-01-02T15:04:05Z"))
	for unit := int64(1000); unit > year && unit > 1; unit /= 10 {
		b = append(b, '0')
	}
	b = strconv.AppendInt(b, year, 10)
	for i, n := range [...]int64{month, day, rest / 3600, rest / 60 % 60, rest % 60} {
		b = append(b, "--T::"[i], byte('0'+n/10), byte('0'+n%10))
	}
	return string(append(b, 'Z'))
}
