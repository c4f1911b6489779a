package cm

import (
	"math"
	"os"
	"strconv"
	"strings"
)

// The kernel's bounds and units.
const (
	MinShares     = 2
	maxShares     = 262144
	sharesPerCPU  = 1024
	QuotaPeriod   = 100_000 // microseconds
	minQuota      = 1_000
	milliPerCPU   = 1000
	guaranteedAdj = -997
	bestEffortAdj = 1000
)

// Shares turns a CPU request in thousandths into cpu.shares.
func Shares(milli int64) uint64 {
	if milli <= 0 {
		return MinShares
	}
	return uint64(min(max(milli*sharesPerCPU/milliPerCPU, MinShares), maxShares))
}

// Weight turns cpu.shares (2–262144) into cgroup v2's cpu.weight (1–10000). It is
// the curve of runc, so that a pod weighs against others as its containers do:
// the decimal logarithm of the weight is the quadratic in log2 of the shares
// which takes the least, the default (1024) and the most of the one to those of
// the other (1, 100 and 10000).
func Weight(shares uint64) uint64 {
	switch {
	case shares <= MinShares:
		return 1
	case shares >= maxShares:
		return 10_000
	}
	l := math.Log2(float64(shares))
	return uint64(math.Ceil(math.Pow(10, (l*l+125*l-126)/612)))
}

// Quota turns a CPU limit in thousandths into microseconds per QuotaPeriod; 0
// is no limit.
func Quota(milli int64) int64 {
	if milli <= 0 {
		return 0
	}
	return max(milli*QuotaPeriod/milliPerCPU, minQuota)
}

// OOMScoreAdj says how early the kernel kills a container when the server is
// short of memory: best-effort pods first, guaranteed ones last, burstable ones
// by how little of the server's memory they asked for.
func OOMScoreAdj(guaranteed, bestEffort bool, memoryRequest, capacity int64) int {
	switch {
	case guaranteed:
		return guaranteedAdj
	case bestEffort || capacity <= 0:
		return bestEffortAdj
	}
	adj := 1000 - 1000*memoryRequest/capacity
	return int(min(max(adj, 1000+guaranteedAdj), bestEffortAdj-1))
}

// AllowedOOMScoreAdj returns the nearest value that may be set: lowering it
// below this process's own takes CAP_SYS_RESOURCE, which restricted hosts lack.
// ok is false when there is nothing to set.
func AllowedOOMScoreAdj(want int) (adj int, ok bool) {
	data, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return 0, false
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, false
	}
	status, err := os.ReadFile("/proc/self/status")
	return allowedOOMScoreAdj(want, own, err == nil && maySetResources(string(status))), true
}

func allowedOOMScoreAdj(want, own int, maySet bool) int {
	if want < own && !maySet {
		return own
	}
	return want
}

const capSysResource = 24

// maySetResources reads the effective capabilities from a process's status.
func maySetResources(status string) bool {
	for line := range strings.Lines(status) {
		if v, ok := strings.CutPrefix(line, "CapEff:"); ok {
			bits, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
			return err == nil && bits&(1<<capSysResource) != 0
		}
	}
	return false
}
