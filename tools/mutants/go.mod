module github.com/gantry-run/gantry/tools/mutants

go 1.26.6
