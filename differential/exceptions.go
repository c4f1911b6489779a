package main

import (
	"regexp"

	"github.com/gantry-run/gantry/differential/compare"
)

// exceptions are the differences that are meant. An exception that no difference needs any
// more fails a full run.
func exceptions() compare.Exceptions {
	meant := func(kind, operation, difference, reason string) *compare.Exception {
		return &compare.Exception{Kind: kind, Operation: operation, Matches: regexp.MustCompile(difference), Reason: reason}
	}
	return compare.Exceptions{
		meant("", "", `^code 2\d\d / 422: (Unsupported [^;]+(; )?)+$`, "what the cluster does not do is refused, with the reason (docs/kubernetes.md)"),
		meant("", "", `^causes: only upstream \[\], only ours \[(Unsupported [^ ]+ ?)+\]$`, "what the cluster does not do is refused, with the reason (docs/kubernetes.md)"),
		meant("", "", `^causes: only upstream \[[^\]]*(\[\][^\]]*)*\], only ours \[.*Unsupported `, "of what is refused anyway the rules are not told"),
		meant("", "", `^warnings: .*/ \["N - \\"([a-zA-Z.\[\]0-9]+: )?not supported by this cluster yet: `, "kinds that are kept and that nothing acts on yet are answered with a warning"),
		meant("DaemonSet*", "", `deprecated\.daemonset\.template\.generation`, "upstream leaves the annotation out of metadata alone, where it converts nothing to a version"),
		meant("(discovery)", "", `^object .storageVersionHash: `, "it is stored in another version"),
		meant("SelfSubjectRulesReview*", "", `^object .status.(nonR|r)esourceRules`, "the rules are the same, told in another order and with the paths that everybody may read as rules of their own"),
		meant("", "create*", `^code 500 / 400: .*target\.`, "a binding to what is no node is the client's fault: upstream answers 500"),
		meant("Job*", "", `^code 500 / `, "upstream panics at rules of a success policy for an indexed job without completions"),
		meant("", "watch*", `^code 500 / 400: `, "a version that is no version is the client's fault: upstream answers 500 where it is to send what is there first"),
		meant("", "*list*", `^details.retryAfterSeconds: 1 / <nil>$`, "what is read from etcd itself has no cache that would catch up"),
		meant("TokenReview*", "", `^object .status.(user|audiences)`, "an answer that says no holds nothing that the client wrote into it"),
		meant("IPAddress*", "*table*", `^object .rows\[\].cells`, "upstream gives rows a cell more than the table has columns"),
		meant("Service", "", `^code 20\d / 422: (Invalid spec\.ports\[\d+\]\.nodePort(; )?)+$`, "a dry run is refused where the run would be: upstream gives it any port"),
		meant("Service", "", `^causes: only upstream \[Duplicate spec\.ports\[\]\.nodePort\], only ours \[\]$`, "in a dry run upstream gives two ports the same node port"),
		meant("Service", "", `^code 500 / 422: duplicate nodePort`, "a port twice is the client's fault: upstream answers 500"),
		meant("", "list*", `^object \.metadata\.continue: absent / "SET"$`, "what is read from etcd itself may have a last page with nothing on it"),
		meant("", "*table*", `^object \.rows: null / \[\]$`, "a table without rows is an empty list, of every kind"),
		meant("ClusterRole*", "", `^object \.(rules|metadata\.managedFields|metadata\.managedFields\[\].*): `, "the API server itself writes the rules of an aggregated role, which upstream leaves to the controller manager"),
		meant("ClusterRole*", "", `^code \d+ / 409: `, "the API server itself writes the rules of an aggregated role, which upstream leaves to the controller manager"),
		meant("*WebhookConfiguration*", "", `^causes: only upstream \[Required webhooks\[\]\.clientConfig\.service\.(name|namespace)\], only ours \[Required webhooks\[\]\.clientConfig\.service\.(name|namespace)\]$`, "upstream mistakes the name of a webhook's Service for its namespace"),
		meant("ReplicationController", "update*", `^warnings: \[.*spec\.template|^warnings: .* / \[.*spec\.template`, "upstream warns of the template as it was before the update"),
		meant("", "watch*", `^object \.events\[\]\.object\.spec\.replicas: 0 / absent$`, "a bookmark is an empty object: upstream's conversion writes a number into it"),
		meant("", "apply*", `^code 500 / 400: `, "an apply that the schema does not have, or that does not decode, is the client's fault: upstream answers 500"),
	}
}
