//! The demo's chapter of questions, on the events of the chapters before it.

use super::stage::Stage;
use crate::failure::Failure;

const ON_TRUCK: &str = "\
// A box is in a shipment, a shipment on a truck, and what is in something is where that is.
inside{thing, place} :- shipment.booked{key: place, boxes}, box in boxes, thing = text(box)
inside{thing: key, place} :- shipment.departed{key, truck}, place = text(truck)
inside{thing, place} :- inside{thing, place: between}, inside{thing: between, place}
?{thing} :- inside{thing, place: $truck}
";

const UNDER_WAY: &str = "\
?{shipment, truck} :-
    shipment.departed{key: shipment, truck},
    not shipment.arrived{key: shipment}
    as of $known
";

const AT_TEN: &str = "\
?{shipment, last: last(type, at)} :-
    event{root: \"shipment\", key: shipment, type, at}
    valid 2026-03-02T10:10Z
";

const TREE: &str = "\
?{
    truck,
    shipments: many {
        shipment,
        events: many {what, at} :-
            event{root: \"shipment\", key: shipment, type: what, at}
            order by at
    } :-
        shipment.departed{key: shipment, truck}
} :-
    shipment.departed{truck}
";

/// Plays it; `monday` is a moment before the scanner's list came.
pub(super) fn play(stage: &mut Stage<'_>, monday: &str) -> Result<(), Failure> {
    stage.say("Ask, and a name that occurs twice joins: which box left on which truck?")?;
    let joined = "?{box, truck} :- shipment.booked{key, boxes}, box in boxes, \
                  shipment.departed{key, truck}";
    stage.run(&["query", "-e", joined])?;

    stage.say("A rule may need itself: what is on truck 7, whatever it is packed in?")?;
    stage.file("on-truck.later", ON_TRUCK)?;
    stage.run(&["query", "on-truck.later", "--param", "truck=\"7\""])?;

    stage.say("What is under way? As we knew it on Monday, and as we know it now.")?;
    stage.file("under-way.later", UNDER_WAY)?;
    for known in [monday, &stage.moment()] {
        let known = format!("known=\"{known}\"");
        stage.run(&["query", "under-way.later", "--param", &known])?;
    }

    stage.say("And as it was: what had happened by ten past ten, whenever we heard of it?")?;
    stage.file("at-ten.later", AT_TEN)?;
    stage.run(&["query", "at-ten.later"])?;

    stage.say("Which events say so, and how was the answer found?")?;
    let left = "?{truck} :- shipment.departed{key, truck}, not shipment.arrived{key}";
    stage.run(&["query", "-e", &format!("why {left}")])?;
    stage.run(&["query", "-e", &format!("explain {left}")])?;

    stage.say("Rows may hold rows of their own, to any depth.")?;
    stage.file("trucks.later", TREE)?;
    stage.run(&["query", "trucks.later", "--format", "tree"])
}
