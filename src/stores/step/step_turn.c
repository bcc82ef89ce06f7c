#include "step_turn.h"

#include "base/must.h"

static void step_turn_report(struct step_turn *turn)
{
	struct list ended, *node;

	list_init(&ended);
	list_splice(&ended, &turn->ended);
	while ((node = list_take_first(&ended)) != NULL) {
		struct call *call = container_of(node, struct call, node);

		call->done(call);
	}
}

static void step_turn_fired(uv_timer_t *timer)
{
	struct step_turn *turn = container_of(timer, struct step_turn, timer);

	turn->is_due = false;
	step_turn_report(turn);
	if (turn->run != NULL)
		turn->run(turn);
}

void step_turn_init(struct step_turn *turn, uv_loop_t *loop, void (*run)(struct step_turn *turn))
{
	MUST(uv_timer_init(loop, &turn->timer) == 0); /* always 0 */
	list_init(&turn->ended);
	turn->is_due = false;
	turn->run = run;
	turn->closed = NULL;
}

void step_turn_soon(struct step_turn *turn)
{
	if (turn->is_due || uv_is_closing((uv_handle_t *)&turn->timer))
		return;
	turn->is_due = true;
	MUST(uv_timer_start(&turn->timer, step_turn_fired, 0, 0) == 0); /* fails for a closing handle only */
}

void step_turn_end(struct step_turn *turn, struct call *call)
{
	list_remove(&call->node);
	list_append(&turn->ended, &call->node);
	step_turn_soon(turn);
}

static void step_turn_on_closed(uv_handle_t *handle)
{
	struct step_turn *turn = container_of(handle, struct step_turn, timer);

	turn->closed(turn);
}

void step_turn_close(struct step_turn *turn, void (*closed)(struct step_turn *turn))
{
	turn->closed = closed;
	step_turn_report(turn);
	uv_close((uv_handle_t *)&turn->timer, step_turn_on_closed);
}
