# Sourced by the scripts of bench/: sets up, builds, and runs a module of bench/lib with the Python that has it all.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
bench_python() {
	local module=$1 wanted=bench/requirements.txt have=build/venv/bench-requirements.installed
	shift
	tools/setup >&2 # standard output is the module's
	tools/build release >&2
	if ! cmp -s "$wanted" "$have"; then
		echo "bench: installing bench/requirements.txt into build/venv" >&2
		build/venv/bin/pip install -q --disable-pip-version-check -r "$wanted" >&2
		cp "$wanted" "$have"
	fi
	# What is measured is what ships, whatever build the tests are on.
	export SAGAD_BUILD=release PYTHONPATH=bench/lib PYTHONDONTWRITEBYTECODE=1
	exec build/venv/bin/python -m "saga_bench.$module" "$@"
}
